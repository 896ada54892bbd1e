# Shell functions for a node of its own: a network namespace with `martlet up` in it. Source it; it cleans up on exit.
# shellcheck shell=bash

martlet=${MARTLET:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/bin/martlet}

# node_start NAME [ARGUMENTS OF UP...]: sets netns and MARTLET_STATE_DIR, waits until the node is ready.
node_start() {
	local name=$1
	shift
	netns=$name
	MARTLET_STATE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$name.XXXXXX")
	export MARTLET_STATE_DIR
	trap node_stop EXIT
	trap 'exit 130' INT TERM
	ip netns add "$netns"
	ip -n "$netns" link set lo up
	ip netns exec "$netns" "$martlet" up --node-name "$name" --api-address 127.0.0.1:6443 "$@" \
		>"$MARTLET_STATE_DIR.log" 2>&1 &
	node_pid=$!
	if ! node_do "$martlet" status --wait --timeout 60s >/dev/null; then
		echo "the node did not become ready; its log:" >&2
		tail -n 30 "$MARTLET_STATE_DIR.log" >&2
		return 1
	fi
}

# node_do COMMAND...: runs it on the node, where the API server and the pods can be reached.
node_do() { ip netns exec "$netns" "$@"; }

node_kubectl() {
	node_do env HOME="$MARTLET_STATE_DIR" kubectl --kubeconfig "$MARTLET_STATE_DIR/kubeconfig" "$@"
}

node_stop() {
	local status=$?
	trap - EXIT INT TERM
	if [ -n "${node_pid:-}" ]; then
		kill -TERM "$node_pid" 2>/dev/null || true
		wait "$node_pid" 2>/dev/null || true
	fi
	[ -n "${netns:-}" ] && ip netns del "$netns" 2>/dev/null
	if [ "$status" -ne 0 ] && [ -s "${MARTLET_STATE_DIR:-/nonexistent}.log" ]; then
		echo "--- the node's log" >&2
		tail -n 30 "$MARTLET_STATE_DIR.log" >&2
	fi
	rm -rf "${MARTLET_STATE_DIR:?}" "$MARTLET_STATE_DIR.log"
	exit "$status"
}
