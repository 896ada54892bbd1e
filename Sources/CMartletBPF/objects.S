	.section .rodata, "a", @progbits
	.macro object name
	.balign 16
	.globl martlet_\name\()_bpf_start
	.globl martlet_\name\()_bpf_end
martlet_\name\()_bpf_start:
	.incbin "\name\().bpf.o"
martlet_\name\()_bpf_end:
	.byte 0
	.endm

	object endpoint
	object host
	object proxy
	object socket
	object socketlist
	object xdp
	.section .note.GNU-stack, "", @progbits
