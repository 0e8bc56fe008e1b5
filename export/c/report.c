/* What the command says of its input, and of a scene that is written: size, steps, quality. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "parts.h"

#define PEAK16 65535.0
#define LOOKED_AT 256u /* columns in the middle, at most, at which the order of bytes is looked at */
#define ROUGHER 3      /* so many times the differences of neighbours are taken for swapped bytes */
#define PER_DECIBEL 100.0
#define ROUNDING (1.0 / 12) /* squared error of a sample that is rounded once */

/* Warn of swapped bytes: neighbours are much alike in pictures, and much less where the low byte
 * stands first. That a low byte is always the same proves nothing. */
static void warn_of_order(const struct skybook_roughness *roughness,
                          const struct skybook_command *command)
{
    if (roughness->pairs == 0 || roughness->least_low == roughness->most_low) {
        return;
    }
    const double pairs = (double)roughness->pairs;
    const double as_read = (double)roughness->as_read / pairs;
    const double swapped = (double)roughness->swapped / pairs;
    if (as_read > ROUGHER * swapped) {
        fprintf(stderr,
                "warning: %s: looks byte-swapped: neighbours differ by %.0f DN on average, and by "
                "%.0f with their bytes swapped (--byte-order)\n",
                command->input, as_read, swapped);
    }
}

/* How far apart two samples are; `sign` is the bit that is turned round where they may be below 0. */
static uint32_t distance(uint32_t a, uint32_t b, uint32_t sign)
{
    const uint32_t one = a ^ sign, other = b ^ sign;
    return one > other ? one - other : other - one;
}

static uint32_t swap(uint32_t sample)
{
    return (sample & 255u) << 8 | sample >> 8;
}

void skybook_look(struct skybook_roughness *roughness, const struct skybook_command *command,
                  const uint16_t *samples)
{
    if (roughness->lines == roughness->tile) {
        return;
    }
    const uint32_t sign = skybook_lift(&command->options) > 0 ? 0x8000u : 0;
    const bool bip = command->layout == BIP && command->options.bayer == 0;
    const uint32_t width = command->options.width;
    const uint32_t first = width > LOOKED_AT ? (width - LOOKED_AT) / 2 : 0;
    const uint32_t stop = width > LOOKED_AT ? first + LOOKED_AT : width;
    const size_t band = bip ? 1 : width;
    const uint32_t bands = command->options.bands;
    const size_t pixel = bip ? bands : 1;
    for (uint32_t b = 0; b < bands; b++) {
        for (uint32_t col = first; col < stop; col++) {
            const uint32_t sample = samples[b * band + col * pixel], low = sample & 255u;
            roughness->least_low = low < roughness->least_low ? low : roughness->least_low;
            roughness->most_low = low > roughness->most_low ? low : roughness->most_low;
            if (col > first) {
                const uint32_t before = samples[b * band + (col - 1) * pixel];
                roughness->as_read += distance(sample, before, sign);
                roughness->swapped += distance(swap(sample), swap(before), sign);
                roughness->pairs++;
            }
        }
    }
    roughness->lines++;
    if (roughness->lines == roughness->tile) {
        warn_of_order(roughness, command);
    }
}

void skybook_look_at_end(const struct skybook_roughness *roughness,
                         const struct skybook_command *command)
{
    if (roughness->lines < roughness->tile) {
        warn_of_order(roughness, command);
    }
}

/* Parts of a DN that samples, or components, are coded in. */
static double parts_of(const struct skybook_encoder *encoder)
{
#if SKYBOOK_GROUPS > 1
    return (double)(1u << encoder->form.fraction) / (double)(1u << encoder->form.coarse);
#else
    return (double)(1u << encoder->form.fraction);
#endif
}

/* The step of a code in DN: 2^(code / 16 - 1), of samples without their fraction. */
static double step_of(const struct skybook_encoder *encoder, unsigned code)
{
    double step = 0.5 / parts_of(encoder);
    for (; code >= 16; code -= 16) {
        step *= 2;
    }
    for (; code > 0; code--) {
        step *= 1.0442737824274138; /* 2^(1 / 16) */
    }
    return step;
}

/* Square root by Newton's method, and 20 log10 digit by digit: the program needs no libm. */
static double root_of(double square)
{
    double root = square > 1 ? square : 1;
    for (int i = 0; i < 60; i++) {
        root = (root + square / root) / 2;
    }
    return root;
}

static double decibels(double ratio)
{
    const bool below = ratio < 1;
    double found = 0, unit = 20;
    ratio = below ? 1 / ratio : ratio;
    for (int digit = 0; digit < 8; digit++) {
        for (; ratio >= 10; ratio /= 10) {
            found += unit;
        }
        const double square = ratio * ratio, fourth = square * square;
        ratio = fourth * fourth * square;
        unit /= 10;
    }
    return below ? -found : found;
}

static double raw_bytes(const struct skybook_encoder *encoder)
{
    return (double)skybook_sample_bytes(&encoder->options) * encoder->options.bands *
           encoder->options.width * encoder->lines;
}

/* The greatest number that the significant bits of a sample hold. */
static double peak_of(const struct skybook_encoder *encoder)
{
    return (double)((1u << encoder->options.significant_bits) - 1u);
}

/* Bands, lines and columns as they came in: of a mosaic, not of its planes. */
static uint32_t bands_of(const struct skybook_encoder *encoder)
{
    return encoder->options.bayer > 0 ? 1 : encoder->options.bands;
}

static uint32_t cell_of(const struct skybook_encoder *encoder)
{
    return encoder->options.bayer > 0 ? 2 : 1;
}

/* Warn of a rate that is out of reach, or is reached at the finest step. */
static void warn(const struct skybook_encoder *encoder)
{
    const struct skybook_options *options = &encoder->options;
    const struct skybook_outcome *outcome = &encoder->outcome;
    const double bytes = (double)encoder->bytes, ratio = raw_bytes(encoder) / bytes;
    if (skybook_has_quality(options) && !skybook_is_limited(options)) {
        if (outcome->missed > 0) {
            fprintf(stderr,
                    "warning: PSNR16 %.2f dB asked: out of reach, at the finest step in %" PRIu32
                    " of %" PRIu32 " rows of tiles\n",
                    options->quality / PER_DECIBEL, outcome->missed, outcome->strips);
        }
    } else if (outcome->missed > 0) {
        fprintf(stderr,
                "warning: ratio %.4g asked, ratio %.4g reached: out of reach, at the coarsest step "
                "in %" PRIu32 " of %" PRIu32 " rows of tiles\n",
                options->ratio, ratio, outcome->missed, outcome->strips);
    } else if (!skybook_has_quality(options) && outcome->strips > 0 &&
               outcome->eased == outcome->strips) {
        if (options->budget > 0) {
            fprintf(stderr, "warning: %.0f bytes asked, %.0f bytes reached: at the finest step\n",
                    (double)options->budget, bytes);
        } else {
            fprintf(stderr, "warning: ratio %.4g asked, ratio %.4g reached: at the finest step\n",
                    options->ratio, ratio);
        }
    }
}

static void print_json(const struct skybook_encoder *encoder, FILE *to, double rmse)
{
    const struct skybook_outcome *outcome = &encoder->outcome;
    const uint32_t cell = cell_of(encoder);
    fprintf(to, "{\"schema\": 1, \"lines\": %" PRIu32 ", \"bands\": %" PRIu32
                ", \"columns\": %" PRIu32, cell * encoder->lines, bands_of(encoder),
            cell * encoder->options.width);
    fprintf(to, ", \"tile\": %" PRIu32, encoder->form.tile);
    fprintf(to, ", \"bytes\": %" PRIu64 ", \"packets\": %" PRIu32 ", \"raw_bytes\": %.0f",
            encoder->bytes, encoder->packets, raw_bytes(encoder));
    if (encoder->options.step_code >= 0) {
        fprintf(to, ", \"asked\": {\"step_code\": %d}", encoder->options.step_code);
    } else if (skybook_has_quality(&encoder->options) && !skybook_is_limited(&encoder->options)) {
        fprintf(to, ", \"asked\": {\"psnr\": %.2f}", encoder->options.quality / PER_DECIBEL);
    } else if (encoder->options.budget > 0) {
        fprintf(to, ", \"asked\": {\"bytes\": %" PRIu64 "}", encoder->options.budget);
    } else {
        fprintf(to, ", \"asked\": {\"ratio\": %.9g}", encoder->options.ratio);
    }
    fprintf(to, ", \"met\": %s", outcome->missed == 0 ? "true" : "false");
    fprintf(to, ", \"windows\": %" PRIu32 ", \"windows_missed\": %" PRIu32
                ", \"windows_eased\": %" PRIu32, outcome->strips, outcome->missed, outcome->eased);
    if (outcome->samples > 0) {
        fprintf(to, ", \"step_codes\": [%u, %u], \"steps_dn\": [%.6g, %.6g]", outcome->finest,
                outcome->coarsest, step_of(encoder, outcome->finest), step_of(encoder, outcome->coarsest));
        fprintf(to, ", \"expected_psnr16_db\": %.4f, \"peak\": %.0f, \"expected_psnr_db\": %.4f",
                decibels(PEAK16 / rmse), peak_of(encoder), decibels(peak_of(encoder) / rmse));
        fprintf(to, ", \"expected_rmse_dn\": %.6g", rmse);
    } else {
        fputs(", \"step_codes\": null, \"steps_dn\": null, \"expected_psnr16_db\": null, ", to);
        fprintf(to, "\"peak\": %.0f, \"expected_psnr_db\": null, \"expected_rmse_dn\": null",
                peak_of(encoder));
    }
    fputs("}\n", to);
}

static void print_text(const struct skybook_encoder *encoder, const char *name, FILE *to,
                       double rmse)
{
    const struct skybook_outcome *outcome = &encoder->outcome;
    const uint32_t cell = cell_of(encoder);
    fprintf(to, "%s: %" PRIu32 " lines of %" PRIu32 " bands x %" PRIu32 " columns, %" PRIu32
                " packets, ", name, cell * encoder->lines, bands_of(encoder),
            cell * encoder->options.width, encoder->packets);
    fprintf(to, "%" PRIu64 " bytes, ratio %.2f", encoder->bytes,
            raw_bytes(encoder) / (double)encoder->bytes);
    if (outcome->samples > 0) {
        fprintf(to, "; steps %.3g to %.3g DN (codes %u to %u), expected PSNR16 %.1f dB (RMSE %.3g DN)",
                step_of(encoder, outcome->finest), step_of(encoder, outcome->coarsest), outcome->finest,
                outcome->coarsest, decibels(PEAK16 / rmse), rmse);
    }
    fputc('\n', to);
}

bool skybook_report(const struct skybook_command *command, const struct skybook_encoder *encoder)
{
    const struct skybook_outcome *outcome = &encoder->outcome;
    const bool is_stream = strcmp(command->output, "-") == 0;
    FILE *to = is_stream ? stderr : stdout;
    double rmse = 0;
    if (outcome->samples > 0) {
        const double parts = parts_of(encoder);
        const double error = (double)outcome->error / (double)outcome->samples + ROUNDING;
        rmse = root_of(error / (parts * parts) + ROUNDING);
    }
    warn(encoder);
    if (command->json) {
        print_json(encoder, to, rmse);
    } else {
        print_text(encoder, command->output, to, rmse);
    }
    return fflush(to) == 0 && ferror(to) == 0;
}
