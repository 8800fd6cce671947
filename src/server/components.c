#include "server/components.h"

enum { KEPT_MS = 10 * 1000 };

int component_listen(const struct component_port *p, struct component *component,
	struct serving **ret, struct err *err)
{
	struct str open[] = {S("/healthz"), S("/readyz"), S("/livez")};
	struct err inner CLEANUP(err_release) = {0};
	const struct serving_opts opts = {
		.loop = p->loop,
		.bind_address = p->bind_address,
		.port = p->port < 0 ? p->usual_port : p->port,
		.ssl_ctx = p->ssl_ctx,
		.component = component,
		.delegated = {.authentication = p->reviews,
			.authorization = p->reviews,
			.open_paths = {open, ARRAY_SIZE(open)},
			.token_ttl_ms = KEPT_MS,
			.allowed_ttl_ms = KEPT_MS,
			.denied_ttl_ms = KEPT_MS},
	};
	int r;

	if (p->port == 0) {
		client_free(p->reviews);
		return 0;
	}
	r = serving_start(&opts, ret, &inner);
	if (r < 0 && p->port > 0)
		return err_fmt(err, 500, "", "%s (--components-bind-address, --%s)",
			err_text(&inner), p->flag);
	if (r < 0)
		log_info("%s is not shown: %s; --%s=PORT chooses another", component->name,
			err_text(&inner), p->flag);
	return 0;
}
