/* version.h: what this program says it is: /version, --version, metrics, statusz. */
#ifndef SAMPAN_VERSION_H
#define SAMPAN_VERSION_H

#define SAMPAN_KUBERNETES_VERSION "v1.36.2" /* whose behaviour this is */
#define SAMPAN_KUBERNETES_MAJOR "1"
#define SAMPAN_KUBERNETES_MINOR "36"
#define SAMPAN_MIN_COMPATIBILITY "1.35"
#define SAMPAN_GIT_VERSION SAMPAN_KUBERNETES_VERSION "+sampan"
#define SAMPAN_BUILD_DATE "1970-01-01T00:00:00Z"

#if defined(__x86_64__)
#define SAMPAN_ARCH "amd64"
#elif defined(__aarch64__)
#define SAMPAN_ARCH "arm64"
#elif defined(__arm__)
#define SAMPAN_ARCH "arm"
#elif defined(__riscv)
#define SAMPAN_ARCH "riscv64"
#else
#define SAMPAN_ARCH "unknown"
#endif
#ifdef __clang__
#define SAMPAN_COMPILER "clang"
#else
#define SAMPAN_COMPILER "gcc"
#endif

#endif
