/* components.h: what `control` shows of its controllers and its scheduler, on the ports where
 * upstream's programs do: whoever scrapes or probes a control plane finds them. */
#ifndef SAMPAN_COMPONENTS_H
#define SAMPAN_COMPONENTS_H

#include "client/client.h"
#include "serving/serving.h"

struct component_port {
	struct loop *loop; /* the component's; must not run yet, or be the caller's */
	const char *bind_address;
	int port, usual_port; /* port negative: the usual one, or none when that is taken */
	const char *flag;     /* its name, for errors */
	void *ssl_ctx;
	struct client *reviews; /* says who asks, and whether he may; taken over */
};

/* *ret stays NULL when nothing is served. */
int component_listen(const struct component_port *p, struct component *component,
	struct serving **ret, struct err *err);

#endif
