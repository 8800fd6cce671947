/*
 * labels.h: whether labels fit a selector as an object has it. Unlike api/selector.h nothing is
 * parsed or allocated: for selectors that are looked at once per event.
 */
#ifndef SAMPAN_CONTROLLERS_LABELS_H
#define SAMPAN_CONTROLLERS_LABELS_H

#include "types.gen.h"

/* meta/v1 LabelSelector: NULL selects nothing, an empty one everything. An unknown operator selects
 * nothing. */
bool selector_fits(const struct meta_v1_label_selector *s, const struct str_map *labels);
/* NULL is empty, too. */
bool selector_is_empty(const struct meta_v1_label_selector *s);

#endif
