/* What a build leaves out, and a build for microcontrollers (docs/board.md): the same bytes in less memory.
 * Macros are given to the compiler, alike for all files that know struct skybook_encoder. */
#ifndef SKYBOOK_SMALL_H
#define SKYBOOK_SMALL_H

#ifndef SKYBOOK_SMALL
#define SKYBOOK_SMALL 0 /* 1: lines packed, latents made anew whenever a tile is coded, tables packed */
#endif

#if SKYBOOK_SMALL
#ifndef SKYBOOK_MAX_WIDTH
#define SKYBOOK_MAX_WIDTH 1024
#endif
#ifndef SKYBOOK_LARGE_BANDS
#define SKYBOOK_LARGE_BANDS 0 /* 1 takes scenes of one band, whose tiles are large */
#endif
#ifndef SKYBOOK_STRIP_BYTES
#define SKYBOOK_STRIP_BYTES (32 * SKYBOOK_MAX_WIDTH + SKYBOOK_PACKET_BYTES)
#endif
#ifndef SKYBOOK_STRIP_SEGMENTS
#define SKYBOOK_STRIP_SEGMENTS (SKYBOOK_MAX_WIDTH / 2)
#endif
#ifndef SKYBOOK_PACKET_BYTES
#define SKYBOOK_PACKET_BYTES 2048 /* the longest segment or packet */
#endif
#ifndef SKYBOOK_SAMPLE_BITS
#define SKYBOOK_SAMPLE_BITS 12 /* of a sample in the lines that are held, 12 or 16 */
#endif
#ifndef SKYBOOK_BOUNDED
#define SKYBOOK_BOUNDED 0
#endif
#else
#define SKYBOOK_SAMPLE_BITS 16
#endif

#ifndef SKYBOOK_TRELLIS
#define SKYBOOK_TRELLIS 1 /* 0 leaves out dependent tiles */
#endif
#ifndef SKYBOOK_QUALITY
#define SKYBOOK_QUALITY 1 /* 0 leaves out steps by quality */
#endif

#endif
