/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARTLET_BPF_OBJECTS_H
#define MARTLET_BPF_OBJECTS_H

#include <stddef.h>

/* The compiled BPF programs that objects.S embeds. */
const void *martlet_endpoint_object(void);
size_t martlet_endpoint_object_size(void);
const void *martlet_host_object(void);
size_t martlet_host_object_size(void);
const void *martlet_proxy_object(void);
size_t martlet_proxy_object_size(void);
const void *martlet_socket_object(void);
size_t martlet_socket_object_size(void);
const void *martlet_socketlist_object(void);
size_t martlet_socketlist_object_size(void);
const void *martlet_xdp_object(void);
size_t martlet_xdp_object_size(void);

#endif
