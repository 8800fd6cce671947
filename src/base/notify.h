/* notify.h: tells who started this program that it is ready (sd_notify(3) protocol: a datagram to $NOTIFY_SOCKET). */
#ifndef SAMPAN_NOTIFY_H
#define SAMPAN_NOTIFY_H

/* Sends `state` ("READY=1"). Does nothing when nobody asked to be told. */
void notify_supervisor(const char *state);

#endif
