/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef MARTLET_TRAFFIC_H
#define MARTLET_TRAFFIC_H

/* How much passes by connections that a service led to a backend. Each packet counts once here. */

#include "flow.h"
#include "maps.h"

/* A packet by the service in `flow`, which is set; as long as its datagram is. */
VERIFIED_ALONE int traffic_count(struct flow *flow, bool back)
{
	struct martlet_service_traffic *traffic, first = {};
	struct martlet_counter *counter;
	__u32 service;

	if (!flow)
		return 0;
	service = flow->service;
	traffic = bpf_map_lookup_elem(&martlet_service_traffic, &service);
	if (!traffic) {
		bpf_map_update_elem(&martlet_service_traffic, &service, &first, BPF_NOEXIST);
		traffic = bpf_map_lookup_elem(&martlet_service_traffic, &service);
		if (!traffic)
			return 0;
	}
	counter = back ? &traffic->back : &traffic->there;
	counter->packets++;
	counter->bytes += flow->packet.end - ETH_HLEN;
	return 0;
}

#endif
