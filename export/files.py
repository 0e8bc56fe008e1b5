"""Files of an export: bundle, decoder, model card."""

from pathlib import Path

from onboard.bundle import Bundle


def write_files(output: Path, bundle: Bundle, decoder: bytes, card: str) -> list[Path]:
    """Write NAME.skyb, and beside it NAME.onnx (decoder) and NAME.MODEL_CARD.md."""
    output.parent.mkdir(parents=True, exist_ok=True)
    contents = {".skyb": bundle.pack(), ".onnx": decoder, ".MODEL_CARD.md": card.encode()}
    paths = []
    for suffix, content in contents.items():
        path = output.with_suffix(suffix)
        path.write_bytes(content)
        paths.append(path)
    return paths
