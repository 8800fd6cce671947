/*
 * table.h: meta.k8s.io/v1 Table, what `kubectl get` asks for: the columns of the schema, one row
 * per object from its strategy's table_row, or name and age.
 *
 * A table_row writes the cells, with commas between them, as JSON values:
 *
 *     json_write_string(cells, pod->metadata.name);
 *     buf_add_char(cells, ',');
 *     table_age(cells, &pod->metadata.creation_timestamp, now_ns);
 */
#ifndef SAMPAN_APISERVER_TABLE_H
#define SAMPAN_APISERVER_TABLE_H

#include "base/base.h"
#include "schema/schema.h"

/* "5m", "3h7m", "2y10d" as duration.HumanDuration, without quotes. */
void human_duration(struct buf *out, int64_t seconds);
/* The age of something as a JSON string: "5m"; "<unknown>" when it is not set. */
void table_age(struct buf *cells, const struct k8s_time *since, int64_t now_ns);

#endif
