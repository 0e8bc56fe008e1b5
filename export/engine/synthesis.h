/* Symbols of a tile to digital numbers: linear synthesis, held to the symbols at fine steps (SPEC.md,
 * section 12). Included once for each kind of number: REAL is their type, OF(name) the name of what is made
 * of them, EXACT whether they are brought to the grid of the exact image where numpy does so. In it every
 * sum is exact in any order. Products are not to be fused with sums. */

static REAL OF(settled)(REAL number)
{
#if EXACT
    const REAL found = rint(number * GRID);
    return (found < -LIMIT ? -LIMIT : found > LIMIT ? LIMIT : found) / GRID;
#else
    return number;
#endif
}

/* Squares of 8 x 8 pixels, at a place that suits vectors. */
static inline REAL *OF(squares)(struct skybook_reader *reader)
{
    REAL *first = REALS(reader)->squares;
    const size_t beyond = (uintptr_t)first % SKYBOOK_ALIGNED;
    return first + (beyond > 0 ? SKYBOOK_ALIGNED - beyond : 0) / sizeof(REAL);
}

/* Add a quarter of a filter, times latents, to squares of 8 x 8 pixels, each to one of its own. */
static void OF(add_quarters)(REAL *restrict squares, const REAL *restrict quarter, const REAL *restrict latents,
                             const uint16_t *restrict there, const uint16_t *restrict corners, uint32_t count)
{
    for (uint32_t n = 0; n < count; n++) {
        const REAL latent = latents[there[n]];
        REAL *square = squares + (size_t)FREQUENCIES * corners[there[n]];
        for (uint32_t i = 0; i < FREQUENCIES; i++) {
            square[i] += latent * quarter[i];
        }
    }
}

/* Add a frequency of a component to the squares between positions: `corners` are the first of the four that
 * each position is a corner of. A square is added to in the order of its corners. */
static void OF(add_frequency)(struct skybook_reader *reader, const REAL *filter, const REAL *latents,
                              const uint16_t *corners)
{
    const uint32_t across = reader->encoder.work.positions[1], count = reader->encoder.work.positions[0] * across;
    uint16_t there[SKYBOOK_POSITIONS + 1];
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        there[found] = (uint16_t)i;
        found += (latents[i] < 0) | (latents[i] > 0);
    }
    for (uint32_t quarter = 4; quarter-- > 0;) {
        const size_t square = quarter / 2 * (across + 1) + quarter % 2;
        OF(add_quarters)(OF(squares)(reader) + FREQUENCIES * square, filter + (size_t)FREQUENCIES * quarter, latents,
                         there, corners, found);
    }
}

/* Put the squares side by side. */
static void OF(put_squares)(struct skybook_reader *reader, REAL *to, size_t pitch)
{
    const uint32_t down = reader->encoder.work.positions[0] + 1u, across = reader->encoder.work.positions[1] + 1u;
    const REAL *from = OF(squares)(reader);
    for (uint32_t row = 0; row < down; row++, to += 8 * pitch) {
        for (uint32_t col = 0; col < across; col++) {
            for (uint32_t line = 0; line < 8; line++, from += 8) {
                memcpy(to + line * pitch + (size_t)8 * col, from, 8 * sizeof(*to));
            }
        }
    }
}

/* What lies beyond the border is mirrored, so what filters reach there falls back inside. */
static void OF(fold)(REAL *wide, uint32_t rows, uint32_t cols)
{
    const size_t pitch = cols + SKYBOOK_AROUND, half = SKYBOOK_AROUND / 2;
    for (size_t i = 0; i < half; i++) {
        REAL *above = wide + (half + i) * pitch, *below = wide + (rows + half - 1 - i) * pitch;
        const REAL *over = wide + (half - 1 - i) * pitch, *under = wide + (rows + half + i) * pitch;
        for (size_t col = 0; col < pitch; col++) {
            above[col] += over[col];
            below[col] += under[col];
        }
    }
    for (size_t row = 0; row < rows + SKYBOOK_AROUND; row++) {
        REAL *line = wide + row * pitch;
        for (size_t i = 0; i < half; i++) {
            line[half + i] += line[half - 1 - i];
            line[cols + half - 1 - i] += line[cols + half + i];
        }
    }
}

/* Latents, in steps, to the planes of components. */
static void OF(make_planes)(struct skybook_reader *reader, const struct skybook_read_model *model,
                            const struct skybook_read_tile *tile, bool of_excess)
{
    const struct skybook_form *form = &reader->encoder.form;
    const uint32_t down = reader->encoder.work.positions[0], across = reader->encoder.work.positions[1];
    const uint32_t rows = 8 * down, cols = 8 * across;
    const size_t pitch = cols + SKYBOOK_AROUND;
    uint16_t places[SKYBOOK_CHANNELS], corners[SKYBOOK_POSITIONS];
    place_channels(form, places);
    place_corners(down, across, corners);
    for (uint32_t band = 0; band < form->bands; band++) {
        memset(OF(squares)(reader), 0, (size_t)FREQUENCIES * (down + 1) * (across + 1) * sizeof(REAL));
        for (uint32_t frequency = 0; frequency < FREQUENCIES; frequency++) {
            const uint32_t channel = places[64 * band + frequency];
            const size_t first = (size_t)channel * form->positions;
            REAL latents[SKYBOOK_POSITIONS];
            if (!of_excess && !reader->any[channel]) {
                continue;
            }
            for (uint32_t i = 0; i < down * across; i++) {
                const REAL value = of_excess ? REALS(reader)->excess[first + i] : (REAL)reader->values[first + i];
                latents[i] = OF(settled)(value * (REAL)tile->step);
            }
            OF(add_frequency)(reader, FILTERS(model, synthesis) + (size_t)SIDE * SIDE * frequency, latents, corners);
        }
        OF(put_squares)(reader, REALS(reader)->wide, pitch);
        OF(fold)(REALS(reader)->wide, rows, cols);
        for (uint32_t row = 0; row < rows; row++) {
            const REAL *from = REALS(reader)->wide + (row + SKYBOOK_AROUND / 2) * pitch + SKYBOOK_AROUND / 2;
            REAL *to = REALS(reader)->planes + (size_t)(band * rows + row) * cols;
            for (uint32_t col = 0; col < cols; col++) {
                to[col] = OF(settled)(from[col]);
            }
        }
    }
}

/* Add a weighted plane to another. */
static void OF(add_plane)(REAL *restrict to, const REAL *restrict from, REAL weight, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        to[i] += weight * from[i];
    }
}

static void OF(settle_all)(REAL *numbers, size_t count)
{
    for (size_t i = 0; EXACT && i < count; i++) {
        numbers[i] = OF(settled)(numbers[i]);
    }
}

/* Planes of components to bands, added to those there are. */
static void OF(add_bands)(struct skybook_reader *reader, const struct skybook_read_tile *tile,
                      skybook_square matrix, bool with_means)
{
    const struct skybook_form *form = &reader->encoder.form;
    const size_t count = (size_t)64 * reader->encoder.work.positions[0] * reader->encoder.work.positions[1];
    for (uint32_t band = 0; band < form->bands; band++) {
        REAL *to = REALS(reader)->wide, *whole = REALS(reader)->bands + band * count;
        memset(to, 0, count * sizeof(*to));
        for (uint32_t i = 0; i < form->bands; i++) {
            OF(add_plane)(to, REALS(reader)->planes + i * count, (REAL)matrix[band][i] / (REAL)FRACTION, count);
        }
        for (size_t i = 0; with_means && i < count; i++) {
            to[i] += (REAL)tile->means[band];
        }
        OF(settle_all)(to, count);
        if (with_means) {
            memcpy(whole, to, count * sizeof(*to));
        } else {
            OF(add_plane)(whole, to, 1.0, count);
        }
    }
}

/* Bands to the planes of components. */
static void OF(turn)(struct skybook_reader *reader, const struct skybook_read_tile *tile, skybook_square matrix)
{
    const struct skybook_form *form = &reader->encoder.form;
    const size_t count = (size_t)64 * reader->encoder.work.positions[0] * reader->encoder.work.positions[1];
    memset(REALS(reader)->planes, 0, form->bands * count * sizeof(REALS(reader)->planes[0]));
    for (uint32_t band = 0; band < form->bands; band++) {
        REAL *from = REALS(reader)->wide;
        for (size_t i = 0; i < count; i++) {
            from[i] = REALS(reader)->bands[band * count + i] - (REAL)tile->means[band];
        }
        for (uint32_t i = 0; i < form->bands; i++) {
            OF(add_plane)(REALS(reader)->planes + i * count, from, (REAL)matrix[band][i] / (REAL)FRACTION, count);
        }
    }
    OF(settle_all)(REALS(reader)->planes, form->bands * count);
}

/* A plane with four pixels mirrored around it. */
static void OF(widen)(REAL *wide, const REAL *plane, uint32_t rows, uint32_t cols)
{
    const size_t pitch = cols + SKYBOOK_AROUND, half = SKYBOOK_AROUND / 2;
    for (size_t row = 0; row < rows + SKYBOOK_AROUND; row++) {
        const size_t from = row < half ? half - 1 - row
                            : row < rows + half ? row - half : 2 * (size_t)rows + half - 1 - row;
        REAL *line = wide + row * pitch;
        memcpy(line + half, plane + from * cols, cols * sizeof(*plane));
        for (size_t i = 0; i < half; i++) {
            line[half - 1 - i] = line[half + i];
            line[cols + half + i] = line[cols + half - 1 - i];
        }
    }
}

/* Fold the pixels around a position to sums and differences of those across from each other, by parity
 * along rows and columns, (2, 2, 8, 8). */
static void OF(fold_pixels)(const REAL *from, size_t pitch, REAL folded[4][FREQUENCIES])
{
    for (uint32_t row = 0; row < 8; row++) {
        const REAL *upper = from + row * pitch, *lower = from + (SIDE - 1 - row) * pitch;
        for (uint32_t col = 0; col < 8; col++) {
            const uint32_t other = SIDE - 1 - col;
            const REAL a = upper[col] + upper[other], b = upper[col] - upper[other];
            const REAL c = lower[col] + lower[other], d = lower[col] - lower[other];
            folded[0][8 * row + col] = a + c;
            folded[1][8 * row + col] = b + d;
            folded[2][8 * row + col] = a - c;
            folded[3][8 * row + col] = b - d;
        }
    }
}

static REAL OF(latent_of)(const REAL folded[FREQUENCIES], const REAL *filter)
{
    REAL sums[8] = {0};
    for (uint32_t row = 0; row < 8; row++) {
        for (uint32_t col = 0; col < 8; col++) {
            sums[col] += folded[8 * row + col] * filter[SIDE * row + col];
        }
    }
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

/* By how much the latents of the planes are outside the cells of their symbols, in steps. */
static void OF(find_excess)(struct skybook_reader *reader, const struct skybook_read_model *model,
                            const struct skybook_read_tile *tile)
{
    const struct skybook_form *form = &reader->encoder.form;
    const uint32_t rows = 8u * reader->encoder.work.positions[0], cols = 8u * reader->encoder.work.positions[1];
    const uint32_t across = cols / 8;
    const REAL in_steps = (REAL)(reader->encoder.work.dependent ? 0.5 : 1.0);
    const REAL per_step = (REAL)(model->unit / tile->step);
    uint16_t places[SKYBOOK_CHANNELS];
    place_channels(form, places);
    for (uint32_t band = 0; band < form->bands; band++) {
        OF(widen)(REALS(reader)->wide, REALS(reader)->planes + (size_t)band * rows * cols, rows, cols);
        for (uint32_t i = 0; i < rows / 8 * across; i++) {
            const size_t pitch = cols + SKYBOOK_AROUND;
            REAL folded[4][FREQUENCIES];
            OF(fold_pixels)(REALS(reader)->wide + 8 * (i / across) * pitch + 8 * (i % across), pitch, folded);
            for (uint32_t frequency = 0; frequency < FREQUENCIES; frequency++) {
                const size_t place = (size_t)places[64 * band + frequency] * form->positions + i;
                const REAL half = (REAL)half_cell(reader, place);
                const uint32_t parity = 2 * (frequency / 8 % 2) + frequency % 2;
                REAL excess = 0;
                if (half >= 0) {
                    const REAL *filter = FILTERS(model, analysis) + (size_t)SIDE * SIDE * frequency;
                    const REAL latent = OF(latent_of)(folded[parity], filter) * per_step;
                    const REAL away = (REAL)reader->symbols[place] * in_steps - latent;
                    excess = away - (away < -half ? -half : away > half ? half : away);
                }
                REALS(reader)->excess[place] = excess;
            }
        }
    }
}

static void OF(synthesise)(struct skybook_reader *reader, const struct skybook_read_model *model,
                            const struct skybook_read_tile *tile)
{
    skybook_square matrix;
    skybook_make_matrix(tile->angles, reader->encoder.form.bands, matrix);
    OF(make_planes)(reader, model, tile, false);
    OF(add_bands)(reader, tile, matrix, true);
    if (pays(reader, tile)) {
        OF(turn)(reader, tile, matrix);
        OF(find_excess)(reader, model, tile);
        OF(make_planes)(reader, model, tile, true);
        OF(add_bands)(reader, tile, matrix, false);
    }
}
