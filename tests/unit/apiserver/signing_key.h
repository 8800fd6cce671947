/* signing_key.h: a key for service account tokens of servers in tests. */
#ifndef SAMPAN_TEST_SIGNING_KEY_H
#define SAMPAN_TEST_SIGNING_KEY_H

#define TEST_SIGNING_KEY                                                                           \
	S("-----BEGIN EC PRIVATE KEY-----\n"                                                       \
	  "MHcCAQEEIOmTQgvUF7sTcFVE1m6bV1FrDQG8FCaZdD97/P6VWXYDoAoGCCqGSM49\n"                     \
	  "AwEHoUQDQgAEWz2UqdvEVeMPvq20A8Q4Y8lTrXjyzEMzfN3b7HSyFxjo4mcnRTFK\n"                     \
	  "WzUHoItdqhow1YOrgkcLmW63+GM/qJ9jkw==\n"                                                 \
	  "-----END EC PRIVATE KEY-----\n")

#endif
