#ifndef WS_TUNNEL_COPENSSL_SHIM_H
#define WS_TUNNEL_COPENSSL_SHIM_H

// OpenSSL's function-like macros are invisible to Swift; each one that is needed is a static inline function here.
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#endif
