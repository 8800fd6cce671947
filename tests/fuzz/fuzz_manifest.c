/* Manifests, image configurations and CNI results: JSON from strangers. */
#include "network/cni.h"
#include "node/runtime/image/manifest.h"
#include "node/runtime/image/ref.h"
#include "node/runtime/image/store.h"
#include "node/runtime/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct image_defaults defaults;
	struct str_vec list = {0};
	struct arena a = {0};
	struct manifest m;
	struct str text;

	text = arena_str(&a, str_n((const char *)data, size));
	if (size == 0)
		text = S("");
	if (manifest_parse(text, &a, &m, NULL) == 0) {
		for (size_t i = 0; i < m.layers.n; i++)
			assert(digest_valid(m.layers.v[i].digest));
		if (m.is_index)
			manifest_choose(&m);
		else
			assert(digest_valid(m.config.digest));
	}
	image_config_diff_ids(text, &a, &list, NULL);
	image_defaults_parse(text, &a, &defaults, NULL);
	cni_result_ips(text, &a, &list, NULL);
	arena_release(&a);
	return 0;
}
