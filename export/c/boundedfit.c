/* Coefficients of a band of a tile: own ones where they save more than they take (SPEC.md, section 20).
 *
 * Sums of products of differences are exact: of 32 bits over so many pixels as magnitudes allow, added up
 * in 64. */
#include <string.h>

#include "bounded.h"

#if SKYBOOK_BOUNDED

#define MARGIN (4u * SKYBOOK_BIT) /* what own coefficients must save at least */
#define HELD (SKYBOOK_FITTED + 16u) /* pixels of which narrow differences have room */
#define PIECE 32u                 /* pixels of a row at a time */
#define LARGEST_NARROW 32767      /* values up to which differences take 16 bits */
#define MOST_OF_MANY 4095         /* differences of which SKYBOOK_FITTED products add up in 31 bits */
#define FEW 16u
#define MOST_OF_FEW 11585         /* those of which FEW do */
#define TOGETHER 4u               /* products that are added up side by side */
#define STEP 4u     /* columns from a pixel that is fitted to, to the next, of large tiles */
#define FARTHEST 3  /* columns to the left */
#define OWN_ROWS 4u
#define REFERENCE_ROWS 3u
#define ROOM 24u /* what a row takes beside its pixels */

/* Rows down and columns right of the pixels around: causal ones after the base, then those of a
 * reference. */
static const int8_t causal[SKYBOOK_OWN][2] = {{0, -1},  {0, -2}, {-1, -2}, {-1, -1}, {-1, 1},
                                              {-1, 2},  {0, -3}, {-2, -1}, {-2, 0},  {-2, 1},
                                              {-3, 0},  {-2, -2}, {-2, 2}};
static const int8_t around[SKYBOOK_PREDICTING][2] = {{0, 0}, {0, -1}, {0, 1}, {1, 0}, {-1, -1},
                                                     {-1, 1}};

/* The fit of a band: differences at pixels that are fitted to, and what comes of them. */
struct fit {
    struct skybook_work *work;
    const struct skybook_plane *plane;
    const int16_t *fixed; /* coefficients */
    uint32_t unknowns;
    uint32_t step;    /* columns from a pixel to the next, */
    uint32_t shift;   /* 2 to the power of which that is */
    uint32_t run;     /* columns of a row that stand next to each other */
    uint32_t most;    /* of all values */
    bool narrow;      /* whether differences take 16 bits */
    uint32_t count;   /* of pixels whose differences are held */
    uint32_t counted; /* pixels in all */
    uint64_t left;    /* by the static coefficients */
};

static uint32_t room_of(const struct fit *fit)
{
    return fit->narrow ? SKYBOOK_FITTED : SKYBOOK_FITTED / 2;
}

/* Rows are held with columns that are `step` apart next to each other, in the place of energies, which
 * are not known yet. Where a row of the band itself, 0, or of one before is held: */
static int16_t *held_row(const struct fit *fit, uint32_t before, uint32_t row)
{
    const uint32_t first = before == 0 ? 0 : OWN_ROWS + (before - 1) * REFERENCE_ROWS;
    const uint32_t number = first + row % (before == 0 ? OWN_ROWS : REFERENCE_ROWS);
    return &fit->work->scratch.bounded.energies[number * (fit->plane->pitch - 8u + ROOM)];
}

/* Take each of STEP columns. */
static void take_columns(int16_t *restrict to, const int16_t *restrict from, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        to[i] = from[i * STEP];
    }
}

static void hold_row(const struct fit *fit, uint32_t before, uint32_t row)
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    const int16_t *from = skybook_row(own, fit->plane, fit->plane->band - before, row) - SKYBOOK_LEFT;
    int16_t *to = held_row(fit, before, row);
    if (fit->step == 1) {
        memcpy(to, from, fit->run * sizeof(*to));
        return;
    }
    for (uint32_t i = 0; i < STEP; i++) {
        take_columns(to + i * fit->run, from + i, fit->run);
    }
}

static void subtract(int16_t *restrict to, const int16_t *restrict values, const int16_t *restrict base,
                     uint32_t count)
{
    for (uint32_t first = 0; first < count; first += SKYBOOK_BLOCK) {
        int16_t *restrict out = to + first;
        const int16_t *a = values + first, *b = base + first;
        for (uint32_t n = 0; n < SKYBOOK_BLOCK; n++) {
            out[n] = (int16_t)(a[n] - b[n]);
        }
    }
}

/* Note differences of an unknown, of `count` pixels and some after them. */
static void note(const struct fit *fit, uint32_t unknown, const int16_t *values, const int16_t *base,
                 uint32_t count)
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    if (fit->narrow) {
        subtract(&own->fit.narrow[unknown][fit->count], values, base, count);
        return;
    }
    for (uint32_t n = 0; n < count; n++) {
        own->fit.wide[unknown][fit->count + n] = values[n] - base[n];
    }
}

/* Note the differences of up to PIECE pixels of a row. */
static void note_piece(const struct fit *fit, uint32_t row, uint32_t col, uint32_t count)
{
    const int16_t *rows[OWN_ROWS];
    uint32_t columns[FARTHEST + 3]; /* from so many to the left, to two to the right */
    const uint32_t last = fit->plane->rows - 1;
    for (uint32_t i = 0; i < FARTHEST + 3; i++) {
        const uint32_t column = col + SKYBOOK_LEFT + i - FARTHEST;
        columns[i] = (column & (fit->step - 1u)) * fit->run + (column >> fit->shift);
    }
    for (uint32_t i = 0; i < OWN_ROWS; i++) {
        rows[i] = held_row(fit, 0, row > i ? row - i : 0);
    }
    const int16_t *base = rows[1] + columns[FARTHEST];
    for (uint32_t i = 0; i < SKYBOOK_OWN; i++) {
        note(fit, i, rows[-causal[i][0]] + columns[FARTHEST + causal[i][1]], base, count);
    }
    note(fit, fit->unknowns, rows[0] + columns[FARTHEST], base, count);
    for (uint32_t unknown = SKYBOOK_OWN; unknown < fit->unknowns;) {
        const uint32_t before = 1 + (unknown - SKYBOOK_OWN) / SKYBOOK_PREDICTING;
        for (uint32_t i = 0; i < REFERENCE_ROWS; i++) {
            const uint32_t there = row + i > 0 ? row + i - 1 : 0;
            rows[i] = held_row(fit, before, there < last ? there : last);
        }
        base = rows[0] + columns[FARTHEST];
        for (uint32_t i = 0; i < SKYBOOK_PREDICTING; i++, unknown++) {
            note(fit, unknown, rows[1 + around[i][0]] + columns[FARTHEST + around[i][1]], base, count);
        }
    }
}

/* Correct a difference that is noted. */
static void correct(const struct fit *fit, uint32_t unknown, uint32_t n, int32_t difference)
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    if (fit->narrow) {
        own->fit.narrow[unknown][fit->count + n] = (int16_t)difference;
    } else {
        own->fit.wide[unknown][fit->count + n] = difference;
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
    const int8_t *place = is_reference ? around[number % SKYBOOK_PREDICTING]
                          : unknown < SKYBOOK_OWN ? causal[unknown] : here;
    const int16_t *values = skybook_row(own, fit->plane, band, 0);
    if (unknown < SKYBOOK_OWN && (place[0] < 0 || col == 0)) {
        return 0;
    }
    return values[(int32_t)col + place[1] + place[0] * (int32_t)fit->plane->pitch] -
           (col > 0 ? values[col - 1] : skybook_start_of(own, band));
}

/* Correct what is noted of pixels of the first row, of the first column, and without data. */
static void correct_piece(struct fit *fit, uint32_t row, uint32_t col, uint32_t count)
{
    const uint8_t *gaps = &fit->work->nodata[row * fit->plane->cols];
    const uint32_t pixels = fit->plane->rows * fit->plane->cols;
    const bool right = row > 0 && fit->work->scratch.bounded.valid == pixels; /* but for the first column */
    fit->counted += right ? count : 0;
    for (uint32_t n = 0; n < count && !right; n++) {
        const bool gap = gaps[col + n * fit->step] != 0;
        fit->counted += gap ? 0 : 1;
        for (uint32_t i = 0; i <= fit->unknowns && (gap || row == 0); i++) {
            correct(fit, i, n, gap ? 0 : difference_of_first_row(fit, i, col + n * fit->step));
        }
    }
    for (uint32_t i = 0; i < SKYBOOK_OWN && row > 0 && col == 0; i++) {
        if (causal[i][0] == 0) { /* to the left is above */
            correct(fit, i, 0, 0);
        }
    }
}

/* Add the products of one difference with TOGETHER others, pixels of which all products of `step` add
 * up in 31 bits. */
static inline void add_narrow(const int16_t *one, const int16_t *others, int64_t *sums, uint32_t step)
{
    for (uint32_t first = 0; first < SKYBOOK_FITTED; first += step) {
        const int16_t *a = one + first, *b = others + first, *c = b + HELD, *d = c + HELD, *e = d + HELD;
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

static int64_t product_of(const struct skybook_bounded *own, bool narrow, uint32_t one, uint32_t other)
{
    int64_t sum = 0;
    for (uint32_t i = 0; i < SKYBOOK_FITTED && narrow; i++) {
        sum += (int32_t)own->fit.narrow[one][i] * own->fit.narrow[other][i];
    }
    for (uint32_t i = 0; i < SKYBOOK_FITTED / 2 && !narrow; i++) {
        sum += (int64_t)own->fit.wide[one][i] * own->fit.wide[other][i];
    }
    return sum;
}

/* The largest magnitude of the narrow differences. */
static int32_t largest_of(const struct fit *fit)
{
    int32_t largest = 0;
    for (uint32_t i = 0; i <= fit->unknowns; i++) {
        const int16_t *row = fit->work->scratch.bounded.fit.narrow[i];
        for (uint32_t n = 0; n < SKYBOOK_FITTED; n++) {
            const int32_t magnitude = row[n] < 0 ? -row[n] : row[n];
            largest = magnitude > largest ? magnitude : largest;
        }
    }
    return largest;
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
    const struct skybook_bounded *own = &fit->work->scratch.bounded;
    int32_t sums[SKYBOOK_FITTED];
    for (uint32_t n = 0; n < SKYBOOK_FITTED; n++) {
        sums[n] = SKYBOOK_ONE / 2;
    }
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        if (fit->narrow) {
            add_weighted(sums, own->fit.narrow[i], fit->fixed[i]);
            continue;
        }
        for (uint32_t n = 0; n < fit->count; n++) {
            sums[n] += own->fit.wide[i][n] * fit->fixed[i];
        }
    }
    for (uint32_t n = 0; n < fit->count; n++) {
        const int32_t wanted = fit->narrow ? own->fit.narrow[fit->unknowns][n]
                                           : own->fit.wide[fit->unknowns][n];
        const int32_t off = wanted - (sums[n] >> 8);
        fit->left += (uint32_t)(off < 0 ? -off : off);
    }
}

/* Add the products of what is noted to the equations, above the diagonal. */
static void add_products(struct fit *fit)
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    const uint32_t rest = room_of(fit) - fit->count;
    for (uint32_t i = 0; i <= fit->unknowns; i++) {
        if (fit->narrow) {
            memset(&own->fit.narrow[i][fit->count], 0, rest * sizeof(own->fit.narrow[0][0]));
        } else {
            memset(&own->fit.wide[i][fit->count], 0, rest * sizeof(own->fit.wide[0][0]));
        }
    }
    const bool many = fit->most <= MOST_OF_MANY;
    const int32_t largest = many || !fit->narrow ? 0 : largest_of(fit);
    for (uint32_t i = 0; i < fit->unknowns; i++) {
        int64_t *row = own->equations[i];
        uint32_t j = i;
        for (; j + TOGETHER <= fit->unknowns + 1 && fit->narrow && largest <= MOST_OF_MANY;
             j += TOGETHER) {
            add_narrow(own->fit.narrow[i], own->fit.narrow[j], row + j, SKYBOOK_FITTED);
        }
        for (; j + TOGETHER <= fit->unknowns + 1 && fit->narrow && largest <= MOST_OF_FEW;
             j += TOGETHER) {
            add_narrow(own->fit.narrow[i], own->fit.narrow[j], row + j, FEW);
        }
        for (; j <= fit->unknowns; j++) {
            row[j] += product_of(own, fit->narrow, i, j);
        }
    }
    add_left(fit);
    fit->count = 0;
}

/* Go over the pixels that are fitted to; the equations have no bound yet. */
static void add_all(struct fit *fit)
{
    const struct skybook_plane *plane = fit->plane;
    const uint32_t references = skybook_references(plane->band), step = fit->step;
    for (uint32_t n = 1; n <= references; n++) {
        hold_row(fit, n, 0);
    }
    for (uint32_t row = 0; row < plane->rows; row++) {
        hold_row(fit, 0, row);
        for (uint32_t n = 1; n <= references && row + 1 < plane->rows; n++) {
            hold_row(fit, n, row + 1);
        }
        for (uint32_t col = skybook_first_fitted(plane, row); col < plane->cols; col += PIECE * step) {
            const uint32_t left = (plane->cols - col + step - 1) / step;
            const uint32_t count = left < PIECE ? left : PIECE;
            if (fit->count + count > room_of(fit)) {
                add_products(fit);
            }
            note_piece(fit, row, col, count);
            correct_piece(fit, row, col, count);
            fit->count += count;
        }
    }
    add_products(fit);
}

/* What the bound adds to the equations, and what static coefficients take from their right side. */
static void complete(const struct fit *fit)
{
    struct skybook_bounded *own = &fit->work->scratch.bounded;
    const uint32_t bound = own->bands[fit->plane->band].bound;
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
    skybook_solve(own->equations, fit->unknowns, changes);
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
    struct fit fit = {work,       plane, skybook_bounded_coefficients[skybook_role(plane->band)], 0, 0, 0, 0,
                      band->most, true,  0, 0, 0};
    int32_t changes[SKYBOOK_UNKNOWNS] = {0};
    band->mode = MODE_STATIC;
    fit.unknowns = skybook_unknowns(plane->band);
    fit.step = skybook_fitted_step(plane);
    fit.shift = fit.step == STEP ? 2 : 0;
    fit.run = plane->pitch / fit.step;
    for (uint32_t i = 1; i <= skybook_references(plane->band); i++) {
        const uint32_t most = own->bands[plane->band - i].most;
        fit.most = most > fit.most ? most : fit.most;
    }
    fit.narrow = fit.most <= LARGEST_NARROW;
    if (!lean) {
        memset(own->equations, 0, sizeof(own->equations));
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
        memcpy(own->coefficients, fit.fixed, sizeof(own->coefficients));
    }
    if (band->mode == MODE_STATIC || band->bound > 0) {
        skybook_predict(work, plane, own->coefficients);
    }
}

#endif
