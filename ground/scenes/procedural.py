"""Scenes that need no download: procedural ones from a seed, and the real one in a Python wheel."""

from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

from ground.scene import Scene
from onboard.errors import UsageError

MAX_DN = 12000
PIXEL_METRES = 10.0
NORTH_WEST = (500000.0, 5100000.0)
BAND_IDS = ("B02", "B03", "B04", "B08", "B11", "B12")
# Typical surface DN (reflectance x 10000) in BAND_IDS, read off Sentinel-2 L2A scenes.
CROPS = np.array(
    [
        [310, 620, 340, 3900, 1900, 950],  # winter wheat in spring
        [360, 700, 420, 3100, 2100, 1100],  # meadow
        [420, 780, 620, 2700, 2300, 1400],  # young maize
        [700, 1080, 1300, 2500, 3100, 2300],  # stubble
        [860, 1150, 1500, 2150, 3000, 2500],  # dry soil
        [560, 740, 930, 1350, 1900, 1600],  # moist soil
        [520, 1150, 900, 3900, 2000, 1100],  # rape in flower
    ]
)
FOREST = np.array([230, 400, 240, 2500, 1150, 520])
WATER = np.array([380, 360, 220, 110, 60, 40])
TRACK = np.array([900, 1100, 1250, 2100, 2500, 2000])
ROOF = np.array([1700, 1850, 2100, 2600, 2800, 2500])
STREET = np.array([850, 950, 1000, 1500, 1500, 1300])
CLOUD = np.array([8200, 8000, 7900, 8300, 4200, 3000])
SHADOW = np.array([0.62, 0.55, 0.5, 0.45, 0.42, 0.42])

Plane = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class _Land:
    """A scene under construction.

    Attributes:
        rows, cols: float64 pixel coordinates, (rows, 1) and (1, cols).
        spectra: float64 (bands, rows, cols), DN.
        rng: source of everything random.
    """

    rows: Plane
    cols: Plane
    spectra: Plane
    rng: Rng

    @property
    def side(self) -> float:
        """The shorter side, pixels."""
        return float(min(self.rows.size, self.cols.size))

    def noise(self, exponent: float) -> Plane:
        """Return fractal noise (rows, cols), mean 0, deviation 1, power falling as f^-exponent."""
        shape = (self.rows.size, self.cols.size)
        frequency = np.hypot(np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1]))
        frequency[0, 0] = np.inf
        spectrum = np.fft.rfft2(self.rng.standard_normal(shape)) * frequency ** (-exponent / 2)
        plane: Plane = np.fft.irfft2(spectrum, shape)
        return plane / max(float(plane.std()), 1e-9)

    def place(self, margin: float = 0.2) -> tuple[float, float]:
        """Return a random row and column, a fraction `margin` of the scene off its border."""
        row, col = self.rng.uniform(margin, 1 - margin, 2)
        return row * self.rows.size, col * self.cols.size

    def paint(self, cover: Plane | NDArray[np.bool_], spectrum: Plane) -> None:
        """Cover the land with a spectrum, (bands,) or (bands, rows, cols); `cover` is 0 to 1."""
        over = spectrum.reshape(len(spectrum), *spectrum.shape[1:] or (1, 1))
        self.spectra[:] += (over - self.spectra) * cover


def procedural(seed: int, rows: int, cols: int, bands: int = 4, nodata: bool = True) -> Scene:
    """Make a Sentinel-2-like scene: fields, forest, water, a town, clouds, sensor noise.

    The same arguments give the same samples. Up to six bands are B02 B03 B04 B08 B11 B12 in that
    order; more are spectra in between, without ids.

    Args:
        seed: seed of the scene, 0 or more.
        rows: number of rows, at least 1.
        cols: number of columns, at least 1.
        bands: number of bands, at least 1.
        nodata: whether a wedge of nodata (value 0) is at the left border, as at the edge of a
            swath.

    Returns:
        uint16 in 1 to 12000 DN, 0 where there is no data; 10 m pixels in EPSG:32633.

    Raises:
        UsageError: a size below 1 or a negative seed.
    """
    if min(rows, cols, bands) < 1 or seed < 0:
        found = f"{rows} x {cols} x {bands}, seed {seed}"
        raise UsageError(f"scene: expected sizes from 1 and a seed from 0, found {found}")
    rng = np.random.default_rng(seed)
    land = _Land(
        np.arange(rows, dtype=np.float64)[:, None],
        np.arange(cols, dtype=np.float64)[None],
        np.zeros((bands, rows, cols)),
        rng,
    )
    _fields(land)
    _forest(land)
    _town(land)
    _water(land)
    land.spectra[:] *= 1 + 0.05 * land.noise(3.2)
    _clouds(land)
    image = _sensor(land)
    if nodata:
        slope = rng.uniform(0.05, 0.2)
        image[:, land.cols + slope * land.rows < 0.12 * cols + 0.5] = 0
    west, north = NORTH_WEST
    return Scene(
        image=image,
        nodata=0 if nodata else None,
        transform=(west, PIXEL_METRES, 0.0, north, 0.0, -PIXEL_METRES),
        crs="EPSG:32633",
        band_ids=BAND_IDS[:bands] if bands <= len(BAND_IDS) else (),
    )


def _bands(spectra: NDArray[np.generic], bands: int) -> Plane:
    """Return spectra (..., 6) at `bands` bands: the first of them, or more in between."""
    known = spectra.shape[-1]
    if bands <= known:
        return spectra[..., :bands].astype(np.float64)
    at = np.linspace(0, known - 1, bands)
    low = np.minimum(at.astype(int), known - 2)
    part = at - low
    mixed: Plane = spectra[..., low] * (1 - part) + spectra[..., low + 1] * part
    return mixed


def _fields(land: _Land) -> None:
    """Fill the land with blocks of parallel parcels, a crop and a row direction each."""
    rng, bands = land.rng, len(land.spectra)
    block = _voronoi(land, 90.0)
    count = int(block.max()) + 1
    angle = rng.uniform(0, np.pi, count)[block]
    along = land.cols * np.cos(angle) + land.rows * np.sin(angle)
    across = land.rows * np.cos(angle) - land.cols * np.sin(angle)
    strip = np.floor(across / rng.uniform(9, 26, count)[block]).astype(np.int64)
    part = np.floor(along / rng.uniform(25, 80, count)[block] + strip * 0.37).astype(np.int64)
    parcel = np.unique(block * 4_000_037 + strip * 2003 + part, return_inverse=True)[1]
    parcel = parcel.reshape(block.shape)
    parcels = int(parcel.max()) + 1
    crops = _bands(CROPS, bands)[rng.integers(0, len(CROPS), parcels)]
    crops *= rng.uniform(0.85, 1.15, (parcels, 1)) * rng.uniform(0.95, 1.05, crops.shape)
    rows = np.sin(across * rng.uniform(0.8, 2.2, parcels)[parcel])
    texture = rng.uniform(0.005, 0.04, parcels)[parcel] * rows
    vigour = 0.06 * land.noise(2.2)
    land.spectra[:] = crops.T[:, parcel] * (1 + texture + vigour)
    edge = (np.diff(block, axis=0, append=block[-1:]) != 0) | (
        np.diff(block, axis=1, append=block[:, -1:]) != 0
    )
    land.paint(0.8 * edge, _bands(TRACK, bands))


def _voronoi(land: _Land, spacing: float) -> NDArray[np.int64]:
    """Return the number of the nearest of jittered grid points, in a slightly warped plane."""
    grid = (int(land.rows.size / spacing) + 3, int(land.cols.size / spacing) + 3)
    jitter = land.rng.uniform(-0.4, 0.4, (2, *grid))
    row = land.rows / spacing + 1 + 0.04 * land.noise(3)
    col = land.cols / spacing + 1 + 0.04 * land.noise(3)
    home_row, home_col = np.rint(row).astype(np.int64), np.rint(col).astype(np.int64)
    nearest = np.full(row.shape, np.inf)
    number = np.zeros(row.shape, np.int64)
    for i, j in np.ndindex(3, 3):
        site_row = np.clip(home_row + i - 1, 0, grid[0] - 1)
        site_col = np.clip(home_col + j - 1, 0, grid[1] - 1)
        distance = np.hypot(
            row - site_row - jitter[0, site_row, site_col],
            col - site_col - jitter[1, site_row, site_col],
        )
        nearer = distance < nearest
        nearest[nearer] = distance[nearer]
        number[nearer] = (site_row * grid[1] + site_col)[nearer]
    return number


def _forest(land: _Land) -> None:
    """Grow woods where a smooth field is high, with the grain of crowns."""
    cover = np.clip((land.noise(3.0) - 0.75) * 8, 0, 1)
    grain = 1 + 0.13 * land.noise(0.8) + 0.1 * land.noise(2.5)
    forest = _bands(FOREST, len(land.spectra))[:, None, None] * grain
    land.paint(cover, forest)


def _town(land: _Land) -> None:
    """Build a town: blocks of roofs of all brightnesses between streets and gardens."""
    row, col = land.place()
    angle = land.rng.uniform(0, np.pi / 2)
    u = (land.cols - col) * np.cos(angle) + (land.rows - row) * np.sin(angle)
    v = (land.rows - row) * np.cos(angle) - (land.cols - col) * np.sin(angle)
    rough = 1 + 0.25 * land.noise(2.6)
    inside = np.hypot(u, v) < 0.16 * land.side * np.maximum(rough, 0)
    house = np.floor(u / 3.1).astype(np.int64) * 7919 + np.floor(v / 2.7).astype(np.int64) * 104729
    kind = land.rng.gamma(2.5, 0.4, 1009)[house % 1009]
    bands = len(land.spectra)
    land.paint(inside & (kind > 0.45), _bands(ROOF, bands)[:, None, None] * kind)
    street = (np.mod(u, 12.4) < 1.6) | (np.mod(v, 16.2) < 1.6)
    land.paint(inside & street, _bands(STREET, bands))


def _water(land: _Land) -> None:
    """Run a meandering river across the land and fill a lake; both dark and smooth."""
    rng = land.rng
    start, end = rng.uniform(0.2, 0.8, 2) * land.rows.size
    along = land.cols / land.cols.size
    course = start + (end - start) * along
    for bends in (1.5, 3.7, 8.3):
        swing = 0.1 * land.side / bends
        course = course + swing * np.sin(2 * np.pi * (bends * along + rng.uniform()))
    slope = np.gradient(course[0]) if land.cols.size > 1 else np.zeros(1)
    distance = np.abs(land.rows - course) / np.hypot(1, slope)
    river = np.clip(min(6.0, 0.03 * land.side) - distance + 0.5, 0, 1)
    row, col = land.place()
    radius = np.hypot(land.rows - row, land.cols - col)
    shore = 0.09 * land.side * (1 + 0.3 * land.noise(3.4)) - radius
    water = _bands(WATER, len(land.spectra))[:, None, None] * (1 + 0.04 * land.noise(3.0))
    land.paint(np.maximum(river, np.clip(shore + 0.5, 0, 1)), water)


def _clouds(land: _Land) -> None:
    """Draw soft bright clouds over the land, and their shadows to the north-west of them."""
    bands = len(land.spectra)
    thickness = np.clip((land.noise(3.1) - 1.35) * 1.6 + 0.12 * land.noise(1.8), 0, 1)
    reach = 0.05 * land.side
    shadow = scipy.ndimage.shift(thickness, (-reach, -0.6 * reach), order=1, mode="nearest")
    dimming = _bands(SHADOW, bands)[:, None, None]
    land.spectra[:] *= 1 - np.minimum(1.5 * shadow, 1) * (1 - dimming)
    top = _bands(CLOUD, bands)[:, None, None] * (1 + 0.08 * land.noise(2.4))
    land.paint(thickness**0.75, top)


def _sensor(land: _Land) -> NDArray[np.uint16]:
    """Look at the land through optics and detector: blur, then noise that grows with the signal."""
    blurred = scipy.ndimage.gaussian_filter(land.spectra, (0, 0.55, 0.55))
    deviation = np.sqrt(20 + 0.06 * np.maximum(blurred, 0))
    noisy = blurred + deviation * land.rng.standard_normal(blurred.shape)
    image: NDArray[np.uint16] = np.clip(np.rint(noisy), 1, MAX_DN).astype(np.uint16)
    return image
