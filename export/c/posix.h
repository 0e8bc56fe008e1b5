/* POSIX where there is any, for the program: to be included before all else. */
#ifndef SKYBOOK_POSIX_H
#define SKYBOOK_POSIX_H

#if defined(__unix__) || defined(__APPLE__)
#define SKYBOOK_POSIX 1
#define _POSIX_C_SOURCE 200809L
#endif

#endif
