/* pod_prune.c: removes instances and sandboxes that nobody asks for any more. */
#include "node/pod.h"

static void removed(void *user_data, struct err *err)
{
	struct pod *p = user_data;

	if (err)
		log_debug("removing a container: %s", err_text(err));
	pod_look_again(p);
	p->removing = false;
	pod_ops_end(p);
}

static void remove_instance(struct pod *p, struct str id)
{
	p->removing = true;
	pod_ops_begin(p);
	p->k->cri->ops->remove_container(p->k->cri, id, removed, p);
}

/* In a new sandbox init containers run again from the first: their old instances would say that
 * they are through. True: it goes on. */
bool pod_purge_init_containers(struct pod *p, const struct v1_pod *spec)
{
	for (size_t i = 0; i < p->observed.n_containers; i++) {
		enum container_kind kind = CONTAINER_REGULAR;

		if (!pod_container(spec, p->observed.containers[i].name, &kind) ||
			kind != CONTAINER_INIT)
			continue;
		if (!p->removing)
			remove_instance(p, p->observed.containers[i].id);
		return true;
	}
	return false;
}

/* Sandboxes that were replaced and hold nothing any more. */
static void prune_sandboxes(struct pod *p)
{
	const struct observed *o = &p->observed;

	for (size_t i = 1; i < o->n_sandboxes && !p->removing; i++) {
		bool used = o->sandboxes[i].ready;

		for (size_t j = 0; j < o->n_containers; j++)
			used |= str_eq(o->containers[j].sandbox_id, o->sandboxes[i].id);
		if (used)
			continue;
		p->removing = true;
		pod_ops_begin(p);
		p->k->cri->ops->remove_sandbox(p->k->cri, o->sandboxes[i].id, removed, p);
	}
}

/* Of each container the newest instance and the one before are kept. */
static void prune_instances(struct pod *p)
{
	const struct observed *o = &p->observed;

	for (size_t i = 0; i < o->n_containers && !p->removing; i++) {
		size_t newer = 0;

		for (size_t j = 0; j < i; j++)
			newer += str_eq(o->containers[j].name, o->containers[i].name);
		if (newer < 2 || o->containers[i].state == CRI_RUNNING)
			continue;
		remove_instance(p, o->containers[i].id);
	}
}

void pod_prune(struct pod *p)
{
	prune_instances(p);
	prune_sandboxes(p);
}
