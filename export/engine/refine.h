/* Refinement for Python on the ground: the decoder network of `skybook` over a part of a scene, as
 * ground/train/lapped/model.py has it, on float32 numbers. It is no part of the flight encoder. */
#ifndef SKYBOOK_REFINE_H
#define SKYBOOK_REFINE_H

#include <stddef.h>
#include <stdint.h>

#define SKYBOOK_FEATURES 64    /* of a cell */
#define SKYBOOK_REFINED_BANDS 4
#define SKYBOOK_REFINED_CELL 4 /* pixels of a side of a cell */

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Whether vectors are as long as it takes to be faster than a runtime that looks for longer ones itself. */
uint32_t skybook_tiles_refines(void);

/* Floats of the room that a part of so many rows and columns of cells takes. */
size_t skybook_tiles_refine_room(uint32_t rows, uint32_t cols);

/* Refine a part: an image in DN whose bands and rows are so many numbers apart, and of each cell its step in
 * DN, the share of its layers that arrived and where tiles meet along rows and columns.
 *
 * Weights are those of the head (133, 64): of the pixels of a cell and what is told of it, in the network's
 * order, and its bias; of two convolutions a block, as products for 2 x 2 cells take them (16, 64, 64), their
 * bias (64) behind each; of the tail (65, 64), its bias last. What is in the room does not matter. */
void skybook_tiles_refine(const float *weights, uint32_t blocks, uint32_t rows, uint32_t cols, const float *image,
                    size_t band_apart, size_t row_apart, const float *step, const float *known,
                    const float *border, float *room, float *refined);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif

#endif
