#ifndef WS_TUNNEL_CALLOCATOR_SHIM_H
#define WS_TUNNEL_CALLOCATOR_SHIM_H

// glibc's settings of malloc, which its Swift overlay leaves out. Elsewhere there is nothing to set.
#include <stdlib.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

/// Keeps up to `bytes` of freed memory at the top of each heap instead of returning it to the system at once, and serves
/// blocks up to a quarter of that from the heaps instead of mapping each one.
static inline void shim_keep_freed_memory(int bytes) {
#if defined(__GLIBC__)
    mallopt(M_TRIM_THRESHOLD, bytes);
    mallopt(M_MMAP_THRESHOLD, bytes / 4);
#else
    (void)bytes;
#endif
}

#endif
