#ifndef MARTLET_BPF_OBJECTS_H
#define MARTLET_BPF_OBJECTS_H

/* The compiled BPF programs, embedded by objects.S: [start, end) of each ELF object. */
extern const unsigned char martlet_endpoint_bpf_start[];
extern const unsigned char martlet_endpoint_bpf_end[];

#endif
