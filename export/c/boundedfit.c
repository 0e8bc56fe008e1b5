/* Coefficients of a band of a tile: own ones where they save more than they take (SPEC.md, section 20).
 *
 * Sums of products of differences are exact: of 32 bits over so many pixels as magnitudes allow, added up
 * in 64. */
#include <string.h>

#include "bounded.h"

#if SKYBOOK_BOUNDED

#define MARGIN (4u * SKYBOOK_BIT) /* what own coefficients must save at least */
#define HELD (SKYBOOK_FITTED + 16u) /* pixels of which narrow differences have room */
#define LARGEST_NARROW 32767      /* values up to which differences take 16 bits */
#define MOST_OF_MANY 2896         /* differences of which SKYBOOK_FITTED products add up in 31 bits */
#define FEW 32u
#define MOST_OF_FEW 8191          /* those of which FEW do */
#define TOGETHER 4u               /* products that are added up side by side */
#define STEP 4u       /* columns from a pixel that is fitted to, to the next, of large tiles */
#define RIGHT 2u      /* columns to the right that are looked at, then rows above */
#define UP 3u
#define NEAR_REFERENCE 1u /* rows above and below of references */

/* The fit of a band: differences at pixels that are fitted to, and what comes of them. */
struct fit {
    struct skybook_work *work;
    const struct skybook_plane *plane;
    const int16_t *fixed; /* coefficients */
    uint32_t unknowns;
    uint32_t step;    /* columns from a pixel to the next, */
    uint32_t shift;   /* 2 to the power of which that is */
    uint32_t run;     /* columns of a row that are so far apart */
    uint32_t most;    /* of all values */
    bool narrow;      /* whether differences take 16 bits */
    uint32_t row, rows; /* whose differences are held: the first of them, and how many */
    uint32_t starts[SKYBOOK_FITTED_ROWS + 1]; /* pixels before each row, and of all */
    uint32_t counted; /* pixels in all */
    uint64_t left;    /* by the static coefficients */
};

static uint32_t room_of(const struct fit *fit)
{
    return fit->narrow ? SKYBOOK_FITTED : SKYBOOK_FITTED / 2;
}

/* The first column that is fitted to, of one of the rows whose differences are held. */
static uint32_t first_of(const struct fit *fit, uint32_t number)
{
    return (0u - (fit->row + number) / 2) & (fit->step - 1u);
}

/* Where a column of a row that is held is. */
static uint32_t place_of(const struct fit *fit, uint32_t column)
{
    const uint32_t held = column + SKYBOOK_LEFT;
    return (held & (fit->step - 1u)) * fit->run + (held >> fit->shift);
}

/* Rows are held with columns that are `step` apart next to each other. Where those of the band itself, 0, or of one
 * before begin, that is so many rows above the first one: */
static int16_t *held_rows(const struct fit *fit, uint32_t before)
{
    const uint32_t own = before == 0 ? 0 : fit->rows + UP;
    const uint32_t others = before < 2 ? 0 : fit->rows + 2 * NEAR_REFERENCE;
    return &fit->work->fit.held[(own + others) * fit->run * fit->step];
}

/* Set columns apart, of each block the first, second, third and fourth. */
static inline void set_apart(int16_t *restrict to, const int16_t *restrict from, size_t run, size_t count)
{
    int16_t *restrict a = to, *restrict b = to + run, *restrict c = b + run, *restrict d = c + run;
    SKYBOOK_ROLLED
    for (size_t i = 0; i < count; i++) {
        a[i] = from[STEP * i];
        b[i] = from[STEP * i + 1];
        c[i] = from[STEP * i + 2];
        d[i] = from[STEP * i + 3];
    }
}

static void hold_row(const struct fit *fit, uint32_t before, uint32_t row, int16_t *to)
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    const int16_t *from = skybook_row(own, fit->plane, fit->plane->band - before, row) - SKYBOOK_LEFT;
    const uint32_t run = fit->run;
    if (fit->step == 1) {
        memcpy(to, from, run * sizeof(*to));
        return;
    }
    uint32_t done = 0;
    for (; done + SKYBOOK_BLOCK <= run; done += SKYBOOK_BLOCK) {
        set_apart(to + done, from + STEP * done, run, SKYBOOK_BLOCK);
    }
    set_apart(to + done, from + STEP * done, run, run - done);
}

/* Hold the rows that pixels are fitted to, and those around. */
static void hold_rows(const struct fit *fit)
{
    const uint32_t width = fit->run * fit->step, last = fit->plane->rows - 1;
    for (uint32_t before = 0; before <= skybook_references(fit->plane->band); before++) {
        const uint32_t above = before == 0 ? UP : NEAR_REFERENCE, below = before == 0 ? 0 : NEAR_REFERENCE;
        int16_t *to = held_rows(fit, before);
        for (uint32_t i = 0; i < above + fit->rows + below; i++, to += width) {
            const uint32_t row = fit->row + i > above ? fit->row + i - above : 0;
            hold_row(fit, before, row < last ? row : last, to);
        }
    }
}

static void subtract(int16_t *restrict to, const int16_t *restrict values, const int16_t *restrict base,
                     uint32_t count)
{
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        int16_t *restrict out = to + first;
        const int16_t *a = values + first, *b = base + first;
        SKYBOOK_ROLLED
        for (uint32_t n = 0; n < SKYBOOK_BLOCK; n++) {
            out[n] = (int16_t)(a[n] - b[n]);
        }
    }
}

/* Note the differences of an unknown of the band itself, or of one before: of pixels so many rows down and columns
 * right and of those above. */
static void note(const struct fit *fit, uint32_t unknown, uint32_t before, const int8_t place[2])
{
    struct skybook_fit *to = &fit->work->fit;
    const uint32_t width = fit->run * fit->step, above = before == 0 ? UP : NEAR_REFERENCE;
    const int16_t *rows = held_rows(fit, before) + (above - 1) * width; /* one above the first one */
    const int32_t down = (1 + place[0]) * (int32_t)width;
    uint32_t values_from[STEP], base_from[STEP]; /* by the first column that is fitted to */
    for (uint32_t first = 0; first < fit->step; first++) {
        values_from[first] = place_of(fit, (uint32_t)((int32_t)first + place[1]));
        base_from[first] = place_of(fit, first);
    }
    for (uint32_t i = 0; i < fit->rows; i++, rows += width) {
        const uint32_t first = first_of(fit, i), start = fit->starts[i], count = fit->starts[i + 1] - start;
        const int16_t *values = rows + down + values_from[first], *base = rows + base_from[first];
        if (fit->narrow) {
            subtract(&to->of.narrow[unknown][start], values, base, count);
            continue;
        }
        for (uint32_t n = 0; n < count; n++) {
            to->of.wide[unknown][start + n] = values[n] - base[n];
        }
    }
}

/* Note the differences of all unknowns, then what they are to give. */
static void note_all(const struct fit *fit)
{
    static const int8_t here[2] = {0, 0};
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < SKYBOOK_OWN; i++, unknown++) {
        note(fit, unknown, 0, skybook_causal_places[i + 1]);
    }
    for (uint32_t before = 1; before <= skybook_references(fit->plane->band); before++) {
        for (uint32_t i = 0; i < SKYBOOK_PREDICTING; i++, unknown++) {
            note(fit, unknown, before, skybook_places_around[i]);
        }
    }
    note(fit, unknown, 0, here);
}

/* Correct a difference that is noted. */
static void correct(const struct fit *fit, uint32_t unknown, uint32_t n, int32_t difference)
{
    struct skybook_fit *to = &fit->work->fit;
    if (fit->narrow) {
        to->of.narrow[unknown][n] = (int16_t)difference;
    } else {
        to->of.wide[unknown][n] = difference;
    }
}

/* The difference of a pixel of the first row, whose base is to the left. */
static int32_t difference_of_first_row(const struct fit *fit, uint32_t unknown, uint32_t col)
{
    static const int8_t here[2] = {0, 0};
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    const bool is_reference = unknown >= SKYBOOK_OWN && unknown < fit->unknowns;
    const uint32_t number = is_reference ? unknown - SKYBOOK_OWN : 0;
    const uint32_t band = fit->plane->band - (is_reference ? 1 + number / SKYBOOK_PREDICTING : 0);
    const int8_t *place = is_reference ? skybook_places_around[number % SKYBOOK_PREDICTING]
                          : unknown < SKYBOOK_OWN ? skybook_causal_places[unknown + 1] : here;
    const int16_t *values = skybook_row(own, fit->plane, band, 0);
    if (unknown < SKYBOOK_OWN && (place[0] < 0 || col == 0)) {
        return 0;
    }
    return values[(int32_t)col + place[1] + place[0] * (int32_t)fit->plane->pitch] -
           (col > 0 ? values[col - 1] : skybook_start_of(own, band));
}

/* Correct what is noted of pixels of the first row, of the first column, and without data. */
static void correct_row(struct fit *fit, uint32_t number)
{
    const uint32_t row = fit->row + number, start = fit->starts[number], count = fit->starts[number + 1] - start;
    const uint8_t *gaps = &fit->work->nodata[row * fit->plane->cols];
    const uint32_t pixels = fit->plane->rows * fit->plane->cols, col = first_of(fit, number);
    const bool right = row > 0 && fit->work->scratch.bounded.valid == pixels; /* but for the first column */
    fit->counted += right ? count : 0;
    for (uint32_t n = 0; n < count && !right; n++) {
        const bool gap = gaps[col + n * fit->step] != 0;
        fit->counted += gap ? 0 : 1;
        for (uint32_t i = 0; i <= fit->unknowns && (gap || row == 0); i++) {
            correct(fit, i, start + n, gap ? 0 : difference_of_first_row(fit, i, col + n * fit->step));
        }
    }
    for (uint32_t i = 0; i < SKYBOOK_OWN && row > 0 && col == 0; i++) {
        if (skybook_causal_places[i + 1][0] == 0) { /* to the left is above */
            correct(fit, i, start, 0);
        }
    }
}

/* Add the products of one narrow difference with those of TOGETHER others, pixels of which all products of `step` add
 * up in 31 bits. */
static inline void add_narrow(const int16_t *one, const int16_t *const others[TOGETHER], int64_t sums[TOGETHER],
                              uint32_t step)
{
    for (uint32_t first = 0; first < SKYBOOK_FITTED; first += step) {
        const int16_t *a = one + first, *b = others[0] + first, *c = others[1] + first, *d = others[2] + first;
        const int16_t *e = others[3] + first;
        int32_t sum0 = 0, sum1 = 0, sum2 = 0, sum3 = 0;
        for (uint32_t i = 0; i < step; i++) {
            sum0 += (int32_t)a[i] * b[i];
            sum1 += (int32_t)a[i] * c[i];
            sum2 += (int32_t)a[i] * d[i];
            sum3 += (int32_t)a[i] * e[i];
        }
        sums[0] += sum0;
        sums[1] += sum1;
        sums[2] += sum2;
        sums[3] += sum3;
    }
}

/* Add the narrow products of an unknown, of differences up to a largest one. */
static void add_narrow_row(const struct fit *fit, uint32_t one, int32_t largest)
{
    struct skybook_fit *noted = &fit->work->fit;
    for (uint32_t j = one; j <= fit->unknowns; j += TOGETHER) {
        const int16_t *others[TOGETHER];
        int64_t sums[TOGETHER] = {0};
        for (uint32_t i = 0; i < TOGETHER; i++) {
            others[i] = noted->of.narrow[j + i < fit->unknowns ? j + i : fit->unknowns];
        }
        if (largest <= MOST_OF_MANY) {
            add_narrow(noted->of.narrow[one], others, sums, SKYBOOK_FITTED);
        } else if (largest <= MOST_OF_FEW) {
            add_narrow(noted->of.narrow[one], others, sums, FEW);
        } else {
            add_narrow(noted->of.narrow[one], others, sums, 1);
        }
        for (uint32_t i = 0; i < TOGETHER && j + i <= fit->unknowns; i++) {
            noted->equations[one][j + i] += sums[i];
        }
    }
}

/* Add the products of one wide difference with another. */
static int64_t wide_products(const struct skybook_fit *noted, uint32_t one, uint32_t other)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < SKYBOOK_FITTED / 2; i++) {
        sum += (int64_t)noted->of.wide[one][i] * noted->of.wide[other][i];
    }
    return sum;
}

/* The largest magnitude of the narrow differences, or one more. */
static int32_t largest_of(const struct fit *fit)
{
    int16_t largest = 0;
    for (uint32_t i = 0; i <= fit->unknowns; i++) {
        const int16_t *row = fit->work->fit.of.narrow[i];
        for (uint32_t n = 0; n < SKYBOOK_FITTED; n++) {
            const int16_t magnitude = (int16_t)(row[n] < 0 ? ~row[n] : row[n]);
            largest = magnitude > largest ? magnitude : largest;
        }
    }
    return largest + 1;
}

static void add_weighted(int32_t *restrict sums, const int16_t *restrict values, int16_t weight)
{
    for (uint32_t n = 0; n < SKYBOOK_FITTED; n++) {
        sums[n] += (int32_t)values[n] * weight;
    }
}

/* Add what static coefficients leave of what is noted. */
static void add_left(struct fit *fit)
{
    const struct skybook_fit *noted = &fit->work->fit;
    const uint32_t count = fit->starts[fit->rows];
    int32_t sums[SKYBOOK_FITTED];
    for (uint32_t n = 0; n < SKYBOOK_FITTED; n++) {
        sums[n] = SKYBOOK_ONE / 2;
    }
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        if (fit->narrow) {
            add_weighted(sums, noted->of.narrow[i], fit->fixed[i]);
            continue;
        }
        for (uint32_t n = 0; n < count; n++) {
            sums[n] += noted->of.wide[i][n] * fit->fixed[i];
        }
    }
    for (uint32_t n = 0; n < count; n++) {
        const int32_t wanted = fit->narrow ? noted->of.narrow[fit->unknowns][n] : noted->of.wide[fit->unknowns][n];
        const int32_t off = wanted - (sums[n] >> 8);
        fit->left += (uint32_t)(off < 0 ? -off : off);
    }
}

/* Add the products of what is noted to the equations, above the diagonal. */
static void add_products(struct fit *fit)
{
    struct skybook_fit *noted = &fit->work->fit;
    const uint32_t count = fit->starts[fit->rows], rest = room_of(fit) - count;
    for (uint32_t i = 0; i <= fit->unknowns; i++) {
        if (fit->narrow) {
            memset(&noted->of.narrow[i][count], 0, rest * sizeof(noted->of.narrow[0][0]));
        } else {
            memset(&noted->of.wide[i][count], 0, rest * sizeof(noted->of.wide[0][0]));
        }
    }
    const int32_t largest = fit->most > MOST_OF_MANY && fit->narrow ? largest_of(fit) : 0;
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        if (fit->narrow) {
            add_narrow_row(fit, i, largest);
            continue;
        }
        for (uint32_t j = i; j <= fit->unknowns; j++) {
            noted->equations[i][j] += wide_products(noted, i, j);
        }
    }
    add_left(fit);
}

/* Go over the pixels that are fitted to; the equations have no bound yet. */
static void add_all(struct fit *fit)
{
    const struct skybook_plane *plane = fit->plane;
    const uint32_t most = room_of(fit) / ((plane->cols + fit->step - 1) / fit->step);
    const uint32_t together = most < SKYBOOK_FITTED_ROWS ? most : SKYBOOK_FITTED_ROWS;
    for (; fit->row < plane->rows; fit->row += together) {
        const uint32_t left = plane->rows - fit->row;
        fit->rows = left < together ? left : together;
        for (uint32_t i = 0; i < fit->rows; i++) {
            const uint32_t first = first_of(fit, i);
            const uint32_t count = first < plane->cols ? (plane->cols - first + fit->step - 1) / fit->step : 0;
            fit->starts[i + 1] = fit->starts[i] + count;
        }
        hold_rows(fit);
        note_all(fit);
        for (uint32_t i = 0; i < fit->rows; i++) {
            correct_row(fit, i);
        }
        add_products(fit);
    }
}

/* What the bound adds to the equations, and what static coefficients take from their right side. */
static void complete(const struct fit *fit)
{
    struct skybook_fit *own = &fit->work->fit;
    const uint32_t bound = fit->work->scratch.bounded.bands[fit->plane->band].bound;
    const int64_t noise = (int64_t)fit->counted * bound * (bound + 1) / 3;
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        for (uint32_t j = i; j <= fit->unknowns; j++) {
            const bool ours = i < SKYBOOK_OWN && (j < SKYBOOK_OWN || j == fit->unknowns);
            own->equations[i][j] += ours ? (i == j ? 2 : 1) * noise : 0;
        }
        for (uint32_t j = 0; j < i; j++) {
            own->equations[i][j] = own->equations[j][i];
        }
    }
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        int64_t *row = own->equations[i];
        row[fit->unknowns] *= SKYBOOK_ONE;
        for (uint32_t j = 0; j < fit->unknowns; j++) {
            row[fit->unknowns] -= row[j] * fit->fixed[j];
        }
    }
}

/* The logarithm of a number of at least 1, in 1/256. */
static int64_t logarithm(uint64_t value)
{
    const uint32_t bits = skybook_bit_length(value);
    const uint64_t part = bits > 9 ? value >> (bits - 9) : value << (9 - bits);
    return (int64_t)(256 * (bits - 1) + skybook_bounded_logarithms[part & 255u]);
}

/* The changes of coefficients that fit best, within what may be sent. */
static void solve(const struct fit *fit, int32_t changes[SKYBOOK_UNKNOWNS])
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    skybook_solve(fit->work->fit.equations, fit->unknowns, changes);
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        const int32_t fixed = fit->fixed[i];
        const int32_t low = skybook_quotient(-(SKYBOOK_MOST_COEFFICIENT + fixed), SKYBOOK_CHANGE) + 1;
        const int32_t high = skybook_quotient(SKYBOOK_MOST_COEFFICIENT - fixed, SKYBOOK_CHANGE);
        changes[i] = changes[i] < low ? low : changes[i] > high ? high : changes[i];
        own->changes[i] = (int16_t)changes[i];
        own->coefficients[i] = (int16_t)(fixed + SKYBOOK_CHANGE * changes[i]);
    }
}

/* Predict a band, with own coefficients where they save more than they take, else the static ones. */
void skybook_fit_and_predict(struct skybook_work *work, const struct skybook_plane *plane, bool lean)
{
    struct skybook_bounded *own = &work->scratch.bounded;
    struct skybook_band *band = &own->bands[plane->band];
    const int16_t *fixed = skybook_bounded_coefficients[skybook_role(plane->band)];
    struct fit fit = {work, plane, fixed, 0, 0, 0, 0, band->most, true, 0, 0, {0}, 0, 0};
    int32_t changes[SKYBOOK_UNKNOWNS] = {0};
    band->mode = MODE_STATIC;
    fit.unknowns = skybook_unknowns(plane->band);
    fit.step = skybook_fitted_step(plane);
    fit.shift = fit.step == STEP ? 2 : 0;
    fit.run = (plane->cols + SKYBOOK_LEFT + RIGHT + fit.step - 1) / fit.step;
    for (uint32_t i = 1; i <= skybook_references(plane->band); i++) {
        const uint32_t most = own->bands[plane->band - i].most;
        fit.most = most > fit.most ? most : fit.most;
    }
    fit.narrow = fit.most <= LARGEST_NARROW;
    if (!lean) {
        memset(work->fit.equations, 0, sizeof(work->fit.equations));
        add_all(&fit);
    }
    if (fit.counted > 0) {
        complete(&fit);
        solve(&fit, changes);
        const int64_t cost = skybook_cost_of_changes(plane->band, changes, &own->move) + MARGIN;
        const uint64_t floor = (uint64_t)fit.counted * (2 * band->bound + 1);
        const uint64_t left = band->bound == 0 ? skybook_predict(work, plane, own->coefficients)
                                               : skybook_left(work, plane, own->coefficients);
        const int64_t gain = logarithm(4 * fit.left + floor) - logarithm(4 * left + floor);
        band->mode = gain * own->valid > cost ? MODE_OWN : MODE_STATIC;
    }
    if (band->mode == MODE_STATIC) {
        memcpy(own->coefficients, fixed, sizeof(own->coefficients));
    }
    if (band->mode == MODE_STATIC || band->bound > 0) {
        skybook_predict(work, plane, own->coefficients);
    }
}

#endif
