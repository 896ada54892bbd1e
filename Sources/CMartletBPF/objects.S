	.section .rodata, "a", @progbits
	.balign 16
	.globl martlet_endpoint_bpf_start
	.globl martlet_endpoint_bpf_end
martlet_endpoint_bpf_start:
	.incbin "endpoint.bpf.o"
martlet_endpoint_bpf_end:
	.byte 0
	.section .note.GNU-stack, "", @progbits
