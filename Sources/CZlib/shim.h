#ifndef WS_TUNNEL_CZLIB_SHIM_H
#define WS_TUNNEL_CZLIB_SHIM_H

// Opening a stream is a macro in zlib, which Swift does not see. Input and output are given with each step, so that no
// pointer stays in the stream from one to the next.
#include <stdint.h>
#include <zlib.h>

// DEFLATE without a header (RFC 1951): zlib asks for it with a negative window size.
static inline int shim_deflateInit_raw(z_stream *stream, int level, int window_bits) {
    return deflateInit2(stream, level, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY);
}

static inline int shim_inflateInit_raw(z_stream *stream, int window_bits) { return inflateInit2(stream, -window_bits); }

static inline int shim_deflate(
    z_stream *stream, const void *input, uint32_t input_count, void *output, uint32_t output_count, int flush) {
    stream->next_in = (Bytef *)input;
    stream->avail_in = input_count;
    stream->next_out = (Bytef *)output;
    stream->avail_out = output_count;
    return deflate(stream, flush);
}

static inline int shim_inflate(
    z_stream *stream, const void *input, uint32_t input_count, void *output, uint32_t output_count) {
    stream->next_in = (Bytef *)input;
    stream->avail_in = input_count;
    stream->next_out = (Bytef *)output;
    stream->avail_out = output_count;
    return inflate(stream, Z_SYNC_FLUSH);
}

#endif
