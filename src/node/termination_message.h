/* termination_message.h: what a container left behind when it ended: its message file, or the end
 * of its log. */
#ifndef SAMPAN_TERMINATION_MESSAGE_H
#define SAMPAN_TERMINATION_MESSAGE_H

#include "node/pod.h"

/* Reads the messages of the newest instances that have ended, each once. */
void termination_messages_read(struct pod *p);

#endif
