/* Form of a scene: its channels, and whose weights they have (SPEC.md, section 10). */
#include <string.h>

#include "parts.h"

#define MOST_BITS 16 /* of a sample with its fraction */
/* Bands that have large tiles where nobody asks for others, at most; and where a part of the scene has a quality or a
 * bound, which smaller tiles follow more closely. */
#define AS_ROOM_FOR(bands) (SKYBOOK_LARGE_BANDS < (bands) ? SKYBOOK_LARGE_BANDS : (bands))
#define BEST_LARGE AS_ROOM_FOR(4u)
#define BEST_LARGE_BY_PARTS AS_ROOM_FOR(3u)
#define MOST_FRACTION 4
#define MAX_HEIGHT (1u << 24)
#define MODEL_CHANNELS (64u * SKYBOOK_CLASSES)
#define NO_PLANE ((uint16_t)SKYBOOK_PLANES)

/* Add the channels of a scene that a channel of the model stands for: those of all components of its
 * class, one after the other. */
static void add_channels(struct skybook_form *form, uint32_t model)
{
    const uint32_t of_class = skybook_order[model] / 64u, frequency = skybook_order[model] % 64u;
    const uint32_t classes = form->bands - form->alike + 1;
    if (of_class >= classes) {
        return;
    }
    const bool is_last = of_class + 1 == classes;
    const uint32_t alike = is_last ? form->alike : 1;
    form->planes[model] = (uint16_t)(form->channels | (is_last ? SKYBOOK_OF_LAST : 0));
    for (uint32_t i = 0; i < alike; i++) {
        form->order[form->channels] = (uint16_t)((of_class + i) * 64 + frequency);
        form->models[form->channels] = (uint16_t)model;
        form->channels++;
    }
}

/* Note where the planes of the model are, once the channels are known: sizes, sums over neighbours,
 * slopes across and down. What the scene has no component of has a plane that is all 0. */
static void place_planes(struct skybook_form *form)
{
    const uint32_t classes = form->bands - form->alike + 1;
    for (uint32_t model = 0; model < MODEL_CHANNELS; model++) {
        const bool is_here = skybook_order[model] / 64u < classes;
        form->planes[MODEL_CHANNELS + model] =
            is_here ? (uint16_t)(form->planes[model] + form->channels) : NO_PLANE;
        form->planes[model] = is_here ? form->planes[model] : NO_PLANE;
    }
    for (uint32_t i = 0; i < 2 * SKYBOOK_CLASSES; i++) {
        const uint32_t of_class = i % SKYBOOK_CLASSES, down = i / SKYBOOK_CLASSES;
        const uint32_t plane = 2 * form->channels + down * form->bands + of_class;
        form->planes[2 * MODEL_CHANNELS + i] =
            of_class >= classes ? NO_PLANE
                                : (uint16_t)(plane | (of_class + 1 == classes ? SKYBOOK_OF_LAST : 0));
    }
}

/* The least side, in whole blocks, by which a side of the scene has as few tiles as by the largest. */
static uint32_t fitted(uint32_t side, uint32_t largest, uint32_t block)
{
    const uint32_t count = side > 0 ? (side + largest - 1) / largest : 1, each = (side + count - 1) / count;
    return (each + block - 1) / block * block;
}

/* Tiles that cut a scene evenly, where a line has room for them. */
static uint32_t best_fitted(const struct skybook_options *options, uint32_t largest)
{
    if (options->width > SKYBOOK_MAX_WIDTH || options->height > MAX_HEIGHT) {
        return largest; /* they are refused */
    }
    const uint32_t block = options->quality_block > 0 ? options->quality_block : 8;
    const uint32_t across = fitted(options->width, largest, block), down = fitted(options->height, largest, block);
    const uint32_t most = across > down ? across : down, tile = most > SKYBOOK_TILE ? most : SKYBOOK_TILE;
    return (options->width + tile - 1) / tile * tile <= SKYBOOK_PITCH ? tile : largest;
}

uint32_t skybook_tile_of(const struct skybook_options *options)
{
    const uint32_t bands = options->bands;
    const bool alike = options->boxes == 0 && options->quality_map == NULL && options->max_error.count == 0;
    const uint32_t most = alike ? BEST_LARGE : BEST_LARGE_BY_PARTS;
    if (options->tile > 0) {
        return options->tile;
    }
    if (bands > 1 && (bands > most || options->bayer != 0)) {
        return SKYBOOK_TILE;
    }
    if (!alike) {
        return SKYBOOK_LARGEST_TILE;
    }
    const uint32_t largest = bands == 1 ? SKYBOOK_MOST(SKYBOOK_SIDE, SKYBOOK_LARGEST_TILE) : SKYBOOK_LARGEST_TILE;
    return best_fitted(options, largest);
}

void skybook_make_form(struct skybook_form *form, const struct skybook_options *options)
{
    const uint32_t groups = skybook_groups_of(options);
    const uint32_t bands = (options->bands + groups - 1) / groups;
    memset(form, 0, sizeof(*form));
    form->bands = bands;
    form->fraction = MOST_BITS - options->significant_bits;
    form->fraction = form->fraction < MOST_FRACTION ? form->fraction : MOST_FRACTION;
    form->tile = skybook_tile_of(options);
    form->positions = (form->tile / 8 * (form->tile / 8) + SKYBOOK_PART - 1) / SKYBOOK_PART * SKYBOOK_PART;
    form->side_bytes = 1 + bands * (bands - 1) / 2 + 2 * bands;
#if SKYBOOK_GROUPS > 1
    if (options->profile != NULL) {
        const int32_t parts = skybook_profile_fraction(options->profile, options->significant_bits);
        form->fraction = parts > 0 ? (uint32_t)parts : 0;
        form->coarse = parts < 0 ? (uint32_t)-parts : 0;
        form->side_bytes = 2 + bands * (bands - 1) / 2 + 3 * bands;
    }
#endif
    form->alike = bands > SKYBOOK_CLASSES ? bands - SKYBOOK_CLASSES + 1 : 1;
    for (uint32_t model = 0; model < SKYBOOK_CLASSES; model++) {
        add_channels(form, model);
    }
    form->cuts[0] = (uint16_t)form->channels;
    for (uint32_t layer = 0; layer < SKYBOOK_AC_LAYERS; layer++) {
        for (uint32_t model = skybook_cuts[layer]; model < skybook_cuts[layer + 1]; model++) {
            add_channels(form, model);
        }
        if (form->channels > form->cuts[form->ac_layers]) { /* else no channel is of the scene */
            form->cuts[++form->ac_layers] = (uint16_t)form->channels;
        }
    }
    place_planes(form);
}
