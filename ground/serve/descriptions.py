"""Descriptions: what a picture and its tiles are, in words of GDAL (WMS and VRT) and as JSON."""

from typing import Any
from xml.sax.saxutils import escape

from ground.products.cube import band_names
from ground.products.legend import LEGEND
from ground.scene import Scene
from ground.serve.images import gdal_type
from ground.serve.pyramid import SIDE, Pyramid

_TIMEOUT = 600
"""Seconds that GDAL waits for a tile: a coarse one is made of all that is under it."""
_MASK_TYPE = "Byte"
_COLOURS = ("Undefined", "Gray", "Undefined", "Red", "Green", "Blue")
"""GDAL's names of the first colour interpretations; palettes are none of ours."""


def of_tiles(pyramid: Pyramid, url: str, query: str) -> str:
    """Return GDAL's description of the tiles of digital numbers.

    Args:
        pyramid: tiles.
        url: where the picture is served.
        query: what else tells which picture it is; '' or '?' and so on.
    """
    scene = pyramid.picture.scene
    words = _tms(pyramid, f"{url}/tiles", query, gdal_type(scene.image.dtype), len(scene.image))
    if scene.nodata is None:
        return words
    values = " ".join([str(scene.nodata)] * len(scene.image))
    return words.replace("<Timeout>", f'<DataValues NoData="{values}"/>\n  <Timeout>')


def of_mask(pyramid: Pyramid, url: str, query: str) -> str:
    """Return GDAL's description of the tiles of the mask."""
    return _tms(pyramid, f"{url}/mask", query, _MASK_TYPE, 1)


def _tms(pyramid: Pyramid, tiles: str, query: str, dtype: str, bands: int) -> str:
    """Return a description for GDAL's WMS driver.

    It knows no rotated rasters: such a one gets the place of its pixels, from 0 on.
    """
    scene = pyramid.picture.scene
    _, rows, cols = pyramid.picture.shape
    left, top, right, bottom, place = 0.0, 0.0, float(cols), float(rows), ""
    if scene.transform is not None and not (scene.transform[2] or scene.transform[4]):
        left, dx, _, top, _, dy = scene.transform
        right, bottom = left + dx * cols, top + dy * rows
        if scene.crs is not None:
            place = f"\n  <Projection>{escape(scene.crs)}</Projection>"
    server = escape(f"{tiles}/${{z}}/${{x}}/${{y}}.tif{query}")
    return f"""<GDAL_WMS>
  <Service name="TMS"><ServerUrl>{server}</ServerUrl></Service>
  <DataWindow>
    <UpperLeftX>{left!r}</UpperLeftX><UpperLeftY>{top!r}</UpperLeftY>
    <LowerRightX>{right!r}</LowerRightX><LowerRightY>{bottom!r}</LowerRightY>
    <SizeX>{cols}</SizeX><SizeY>{rows}</SizeY><TileLevel>{pyramid.last}</TileLevel>
    <TileCountX>1</TileCountX><TileCountY>1</TileCountY><YOrigin>top</YOrigin>
  </DataWindow>{place}
  <BlockSizeX>{SIDE}</BlockSizeX><BlockSizeY>{SIDE}</BlockSizeY>
  <BandsCount>{bands}</BandsCount><DataType>{dtype}</DataType>
  <Timeout>{_TIMEOUT}</Timeout>
</GDAL_WMS>
"""


def of_all(pyramid: Pyramid, url: str, query: str) -> str:
    """Return a VRT of the tiles, with all that is said of the picture.

    What is lost and what is nodata is hidden by its mask, as in a product.
    """
    scene = pyramid.picture.scene
    _, rows, cols = pyramid.picture.shape
    lines = [f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}">']
    if scene.crs is not None:
        lines.append(f"  <SRS>{escape(scene.crs)}</SRS>")
    if scene.transform is not None:
        lines.append(f"  <GeoTransform>{', '.join(map(repr, scene.transform))}</GeoTransform>")
    tags = pyramid.picture.origin
    lines.append('  <Metadata domain="SKYBOOK">')
    lines += [f"    <MDI key={_quoted(key)}>{escape(tags[key])}</MDI>" for key in tags]
    lines.append("  </Metadata>")
    tiles, dtype = of_tiles(pyramid, url, query), gdal_type(scene.image.dtype)
    for number in range(1, len(scene.image) + 1):
        lines.append(f'  <VRTRasterBand dataType="{dtype}" band="{number}">')
        lines += _of_band(scene, number)
        lines += _source("SimpleSource", tiles, dtype, number, pyramid)
        lines.append("  </VRTRasterBand>")
    lines.append('  <MaskBand><VRTRasterBand dataType="Byte">')
    table = ",".join(f"{entry.value}:{0 if entry.hidden else 255}" for entry in LEGEND)
    source = _source("ComplexSource", of_mask(pyramid, url, query), _MASK_TYPE, 1, pyramid)
    lines += [*source[:-1], f"      <LUT>{table}</LUT>", source[-1]]
    lines.append("  </VRTRasterBand></MaskBand>")
    if steps := " ".join(str(1 << times) for times in range(1, pyramid.last + 1)):
        lines.append(f'  <OverviewList resampling="nearest">{steps}</OverviewList>')
    lines += ["</VRTDataset>", ""]
    return "\n".join(lines)


def _of_band(scene: Scene, number: int) -> list[str]:
    """Return what is said of a band."""
    facts, index, lines = scene.facts, number - 1, []
    if scene.band_ids:
        lines.append(f"    <Description>{escape(scene.band_ids[index])}</Description>")
    if scene.nodata is not None:
        lines.append(f"    <NoDataValue>{scene.nodata}</NoDataValue>")
    if facts.colours:
        colour = facts.colours[index % len(facts.colours)]
        named = _COLOURS[colour] if colour < len(_COLOURS) else _COLOURS[0]
        lines.append(f"    <ColorInterp>{named}</ColorInterp>")
    if facts.units:
        unit = facts.units[index % len(facts.units)]
        lines.append(f"    <UnitType>{escape(unit)}</UnitType>")
    if facts.calibration:
        scale, offset = facts.calibration[index % len(facts.calibration)]
        lines.append(f"    <Offset>{offset!r}</Offset><Scale>{scale!r}</Scale>")
    return lines


def _source(kind: str, tiles: str, dtype: str, band: int, pyramid: Pyramid) -> list[str]:
    """Return where the samples of a band are, the description of its tiles inside."""
    _, rows, cols = pyramid.picture.shape
    size = f'xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"'
    return [
        f"    <{kind}>",
        f'      <SourceFilename relativeToVRT="0">{escape(tiles)}</SourceFilename>',
        f"      <SourceBand>{band}</SourceBand>",
        f'      <SourceProperties RasterXSize="{cols}" RasterYSize="{rows}" DataType="{dtype}" '
        f'BlockXSize="{SIDE}" BlockYSize="{SIDE}"/>',
        f"      <SrcRect {size}/><DstRect {size}/>",
        f"    </{kind}>",
    ]


def _quoted(text: str) -> str:
    return '"' + escape(text, {'"': "&quot;"}) + '"'


def as_dict(pyramid: Pyramid, url: str, query: str) -> dict[str, Any]:
    """Return what a picture is and where its tiles are, for JSON."""
    scene = pyramid.picture.scene
    placed = scene.crs is not None and scene.transform is not None
    return {
        "shape": list(pyramid.picture.shape),
        "dtype": scene.image.dtype.name,
        "bands": list(band_names(scene)),
        "crs": scene.crs,
        "transform": scene.transform,
        "nodata": scene.nodata,
        "zooms": [0, pyramid.last],
        "tile": SIDE,
        "mask": {entry.value: entry.meaning for entry in LEGEND},
        "origin": dict(pyramid.picture.origin),
        "gdal": f"{url}/scene.vrt{query}",
        "gdal_tiles": f"{url}/gdal.xml{query}",
        "gdal_mask": f"{url}/mask.xml{query}",
        "samples": f"{url}/tiles/{{z}}/{{x}}/{{y}}.tif{query}",
        "shown": f"{url}/tiles/{{z}}/{{x}}/{{y}}.png{query}",
        "xyz": f"{url}/xyz/{{z}}/{{x}}/{{y}}.png{query}" if placed else None,
    }
