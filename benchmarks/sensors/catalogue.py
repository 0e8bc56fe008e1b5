"""Catalogue: which files of a data folder are measured, and which part of each."""

from benchmarks.sensors.entry import Entry

_L8 = "other/landsat8_sattestdata/l8_B{}.tif"
_S2_20M = "other/s2_20m60m_sattestdata/s2_{}.tif"
_HLS = "other/hls_vrtility/hls_exe_{}.tif"
_PATCH = "other/l8_water/images/{}.tif"
_PAN = "other/pan_uint16/{}.tif"
_STOLARINHOO = "other/s2_landcover_stolarinhoo/image_699.tif"


def _landsat(*numbers: int) -> tuple[str, ...]:
    return tuple(_L8.format(number) for number in numbers)


def _sentinel(*names: str) -> tuple[str, ...]:
    return tuple(_S2_20M.format(name) for name in names)


def _patches(content: str, label: str, bands: range) -> list[Entry]:
    """Return patches of Landsat-8 surface reflectance (the other bands are no spectral ones)."""
    return [
        Entry(
            content,
            f"Landsat-8 SR {label} {number}",
            "Landsat-8 SR",
            (_PATCH.format(number),),
            (0, 0),
            (128, 128),
            tuple(bands),
        )
        for number in (0, 101, 107, 109, 112, 114)
    ]


_MIDDLE = ((64, 64), (448, 448))
_HLS_PART = ((16, 24), (192, 192))
CATALOGUE = (
    Entry("bands4", "Landsat-8 DN B2-5", "Landsat-8 DN", _landsat(2, 3, 4, 5), *_MIDDLE),
    Entry(
        "bands4",
        "Sentinel-2 20 m B05 B07 B8A B11",
        "Sentinel-2 20 m",
        _sentinel("B05", "B07", "B8A", "B11"),
        *_MIDDLE,
    ),
    *(
        Entry("bands4", f"HLS {day[:10]}", "HLS", (_HLS.format(day),), *_HLS_PART, (0, 1, 2, 3))
        for day in ("2021-06-08_12-27-08", "2021-07-18_12-27-09")
    ),
    *_patches("bands4", "B2-5", range(1, 5)),
    Entry(
        "bands6_7",
        "Sentinel-2 20 m, 6 bands",
        "Sentinel-2 20 m",
        _sentinel("B05", "B06", "B07", "B8A", "B11", "B12"),
        *_MIDDLE,
    ),
    Entry("bands6_7", "Landsat-8 DN B1-7", "Landsat-8 DN", _landsat(*range(1, 8)), *_MIDDLE),
    *_patches("bands6_7", "B1-7", range(7)),
    Entry(
        "bands10_12",
        "Sentinel-2 12 bands on 10 m",
        "Sentinel-2",
        (_STOLARINHOO,),
        (0, 0),
        (256, 256),
    ),
    Entry(
        "bands10_12",
        "Sentinel-2 10 bands on 10 m",
        "Sentinel-2",
        (_STOLARINHOO,),
        (0, 0),
        (256, 256),
        (1, 2, 3, 4, 5, 6, 7, 8, 10, 11),
    ),
    Entry(
        "bands10_12",
        "Landsat-8 DN B1-7 B9-11",
        "Landsat-8 DN",
        _landsat(*range(1, 8), 9, 10, 11),
        *_MIDDLE,
    ),
    Entry(
        "cube",
        "Sentinel-2 12 bands made 48, noise of 10 DN",
        "Sentinel-2",
        (_STOLARINHOO,),
        (64, 64),
        (128, 128),
        spectra=48,
        noise=10,
    ),
    *(
        Entry(
            "rgb8",
            f"true colour {name}",
            name,
            (f"s2/test/{name}.tif",),
            (0, 0),
            shape,
            (2, 1, 0),
            white=white,
        )
        for name, shape, white in (
            ("dsen2-T33UUB__S2A_MSIL1C_20170527_T33UUB", (576, 576), 3558),
            ("ftw-austria__winA", (320, 576), 3558),
            ("ssl4eo-0181476__season2", (256, 256), 3558),
        )
    ),
    Entry(
        "rgb8",
        "WorldView RGB in 8 bits",
        "WorldView",
        (_PAN.format("torchsat_tiff_3channel_uint16"),),
        (0, 0),
        (640, 448),
        white=1_200,
    ),
    Entry(
        "rgb11",
        "WorldView RGB",
        "WorldView",
        (_PAN.format("torchsat_tiff_3channel_uint16"),),
        (0, 0),
        (640, 448),
        bits=11,
    ),
    Entry(
        "rgb11",
        "Landsat RGB",
        "Landsat",
        (_PAN.format("solaris_sample_geotiff_custom_proj"),),
        (0, 0),
        (512, 512),
    ),
    Entry(
        "bayer",
        "WorldView RGB, mosaic",
        "WorldView",
        (_PAN.format("torchsat_tiff_3channel_uint16"),),
        (0, 0),
        (640, 448),
        bits=11,
        bayer=True,
    ),
    Entry(
        "bayer",
        "Landsat RGB, mosaic",
        "Landsat",
        (_PAN.format("solaris_sample_geotiff_custom_proj"),),
        (0, 0),
        (512, 512),
        bayer=True,
    ),
    Entry(
        "bayer",
        "Sentinel-2 RGB, mosaic",
        "Sentinel-2",
        ("s2/test/dsen2-T33UUB__S2A_MSIL1C_20170527_T33UUB.tif",),
        (0, 0),
        (512, 512),
        (2, 1, 0),
        bayer=True,
    ),
    *(
        Entry("pan", f"WorldView pan {name}", "WorldView", (_PAN.format(name),), (0, 0), shape)
        for name, shape in (
            ("torchsat_tiff_1channel_uint16", (640, 384)),
            ("solaris_road_mask_input", (640, 640)),
            ("solaris_sample_geotiff", (640, 640)),
        )
    ),
    Entry("pan", "Landsat-8 pan", "Landsat-8", _landsat(8), (128, 128), (768, 768)),
    *(
        Entry(
            "thermal_noisy",
            f"Landsat-8 B{band} at 90 m, noise of 20 DN",
            "Landsat-8",
            _landsat(band),
            (0, 0),
            (576, 576),
            shrink=3,
            noise=20,
        )
        for band in (10, 11)
    ),
    Entry("thermal_smooth", "Landsat-8 B10", "Landsat-8", _landsat(10), *_MIDDLE),
    Entry("thermal_smooth", "Landsat-8 B11", "Landsat-8", _landsat(11), *_MIDDLE),
)
