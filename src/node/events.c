/* events.c: events about pods and their containers. */
#include "node/pod.h"

static struct str field_path(struct pod *p, struct arena *a, struct str container)
{
	static const char *const lists[] = {[CONTAINER_REGULAR] = "containers",
		[CONTAINER_INIT] = "initContainers",
		[CONTAINER_EPHEMERAL] = "ephemeralContainers"};

	if (str_empty(container))
		return (struct str){0};
	return arena_fmt(a, "spec.%s{" STR_FMT "}", lists[pod_memory(p, container)->kind],
		STR_ARG(container));
}

void pod_event(struct pod *p, struct str container, const char *type, const char *reason,
	const char *fmt, ...)
{
	struct arena a;
	struct event_about about = {
		.resource = &v1_pod_resource, .ns = p->ns, .name = p->name, .uid = p->uid};
	struct str text;
	va_list ap;

	arena_init(&a);
	va_start(ap, fmt);
	text = arena_vfmt(&a, fmt, ap);
	va_end(ap);
	about.field_path = field_path(p, &a, container);
	about.revision = p->object ? p->object->revision : 0;
	recorder_event(p->k->recorder, &about, type, reason, "%s", text.p);
	log_debug("pod " STR_FMT "/" STR_FMT ": %s: %s", STR_ARG(p->ns), STR_ARG(p->name), reason,
		text.p);
	arena_release(&a);
}
