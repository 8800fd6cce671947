/* serving_flags.c: upstream's flags of a component that serves (SecureServing,
 * DelegatingAuthentication, DelegatingAuthorization). */
#include "serving/serving.h"

#define NO_PROXY "the only credentials here are certificates and tokens"

struct serving_flags serving_flags_default(int port)
{
	return (struct serving_flags){
		.bind_address = "0.0.0.0",
		.port = port,
		.token_ttl_ms = 10000,
		.allowed_ttl_ms = 10000,
		.denied_ttl_ms = 10000,
	};
}

void serving_flags_table(struct serving_flags *f, struct flag table[SERVING_FLAGS_MAX])
{
	const struct flag flags[] = {
		FLAGS_HEADING("Serving"),
		{"bind-address", FLAG_STRING, &f->bind_address, "IP",
			"address to serve /metrics and /healthz on; default: 0.0.0.0"},
		{"secure-port", FLAG_INT, &f->port, "PORT", "its HTTPS port; 0: none"},
		{"cert-dir", FLAG_STRING, &f->cert_dir, "DIR",
			"where a certificate made here is kept; default: nowhere"},
		{"tls-cert-file", FLAG_STRING, &f->cert_file, "FILE",
			"serving certificate; default: one that signs itself"},
		{"tls-private-key-file", FLAG_STRING, &f->key_file, "FILE", "its key"},
		{"permit-address-sharing", FLAG_BOOL, &f->share_address, NULL,
			"accepted: an address is free again at once"},
		{"permit-port-sharing", FLAG_BOOL, &f->share_port, NULL,
			"several may serve on the port"},
		FLAGS_HEADING("Who may ask"),
		{"client-ca-file", FLAG_STRING, &f->client_ca_file, "FILE",
			"CA of client certificates, besides the cluster's"},
		{"authentication-kubeconfig", FLAG_STRING, &f->authentication_kubeconfig, "FILE",
			"whom to ask whose tokens are; without it who shows one is anonymous"},
		{"authentication-skip-lookup", FLAG_BOOL, &f->skip_lookup, NULL,
			"do not look up the cluster's client CA"},
		{"authentication-token-webhook-cache-ttl", FLAG_DURATION, &f->token_ttl_ms, "T",
			"for how long answers are kept; default: 10s"},
		{"authorization-kubeconfig", FLAG_STRING, &f->authorization_kubeconfig, "FILE",
			"whom to ask who may; without it only the paths below are shown"},
		{"authorization-always-allow-paths", FLAG_LIST, &f->open_paths, "PATH,…",
			"shown to everybody; default: /healthz,/readyz,/livez"},
		{"authorization-webhook-cache-authorized-ttl", FLAG_DURATION, &f->allowed_ttl_ms,
			"T", "for how long a yes is kept; default: 10s"},
		{"authorization-webhook-cache-unauthorized-ttl", FLAG_DURATION, &f->denied_ttl_ms,
			"T", "for how long a no is kept; default: 10s"},
		{"authentication-tolerate-lookup-failure", FLAG_UNUSED, NULL, NULL,
			"what could not be looked up is looked up again"},
		{"disable-http2-serving", FLAG_REFUSED, NULL, NULL, "HTTP/2 is always there"},
		{"http2-max-streams-per-connection", FLAG_UNUSED, NULL, NULL,
			"a connection has 250 at most"},
		{"tls-cipher-suites", FLAG_REFUSED, NULL, NULL, "OpenSSL's configuration chooses"},
		{"tls-curve-preferences", FLAG_REFUSED, NULL, NULL,
			"OpenSSL's configuration chooses"},
		{"tls-min-version", FLAG_REFUSED, NULL, "VersionTLS12", "TLS 1.2 is the least"},
		{"tls-sni-cert-key", FLAG_REFUSED, NULL, NULL,
			"there is one certificate: --tls-cert-file"},
		{"requestheader-allowed-names", FLAG_UNUSED, NULL, NULL, NO_PROXY},
		{"requestheader-client-ca-file", FLAG_UNUSED, NULL, NULL, NO_PROXY},
		{"requestheader-extra-headers-prefix", FLAG_UNUSED, NULL, NULL, NO_PROXY},
		{"requestheader-group-headers", FLAG_UNUSED, NULL, NULL, NO_PROXY},
		{"requestheader-uid-headers", FLAG_UNUSED, NULL, NULL, NO_PROXY},
		{"requestheader-username-headers", FLAG_UNUSED, NULL, NULL, NO_PROXY},
		{"address", FLAG_STRING, &f->bind_address, "IP", "--bind-address", .retired = true},
		{"port", FLAG_RETIRED, NULL, NULL, "plain HTTP is gone: --secure-port"},
		{NULL},
	};

	_Static_assert(ARRAY_SIZE(flags) <= SERVING_FLAGS_MAX, "too many flags");
	memcpy(table, flags, sizeof(flags));
}

int serving_flags_check(const struct serving_flags *f, struct err *err)
{
	if (f->port < 0 || f->port > 65535)
		return err_bad_request(err,
			"--secure-port %d must be between 0 and 65535, inclusive. 0 for turning "
			"off "
			"secure port",
			f->port);
	if (!f->cert_file != !f->key_file)
		return err_bad_request(
			err, "--tls-cert-file and --tls-private-key-file come together");
	if (f->token_ttl_ms < 0 || f->allowed_ttl_ms < 0 || f->denied_ttl_ms < 0)
		return err_bad_request(err, "how long answers are kept is not negative");
	return 0;
}
