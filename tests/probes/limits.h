/* What the probes of the descriptor limit share. */
#ifndef LIMITS_H
#define LIMITS_H

#include "outsider.h"
#include <linux/capability.h>
#include <sys/resource.h>

/* Without this right the hard limit is final. */
static inline void drop_right_to_raise(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    must(syscall(SYS_capget, &header, data) == 0, "capget");
    data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
    data[0].permitted &= ~(1U << CAP_SYS_RESOURCE);
    must(syscall(SYS_capset, &header, data) == 0, "capset");
}

static inline void limit_descriptors(rlim_t soft, rlim_t hard) {
    struct rlimit limit = {soft, hard};
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

static inline struct rlimit descriptor_limit(void) {
    struct rlimit limit;
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    return limit;
}

#endif
