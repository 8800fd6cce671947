/* proto.h: wire types of protobuf. Private to src/schema. */
#ifndef SAMPAN_SCHEMA_PROTO_H
#define SAMPAN_SCHEMA_PROTO_H

enum proto_wire {
	PROTO_VARINT = 0,
	PROTO_FIXED64 = 1,
	PROTO_BYTES = 2,
	PROTO_GROUP = 3,
	PROTO_END = 4,
	PROTO_FIXED32 = 5
};

#endif
