/* syscall() and vfork(): the two calls that no C function can stand in for.
 *
 * syscall(SYS_vfork) and syscall(SYS_clone) with a stack of its own return twice, or on another stack: a C
 * function's frame would not survive it. So this looks at the number in a register and jumps: to
 * hook_syscall for the numbers of hooked calls, to libc's syscall for all others, with every register and
 * the stack as they came.
 */
#include <asm/unistd.h>

#if defined(__x86_64__)

#define CLONE_VM 0x100
#define CLONE_THREAD 0x10000

        .text
        .globl  syscall
        .type   syscall, @function
        .p2align 4
syscall:
        .cfi_startproc
        cmpq    $__NR_close, %rdi
        je      .Lours
        cmpq    $__NR_fcntl, %rdi
        je      .Lours
        cmpq    $__NR_flock, %rdi
        je      .Lours
        cmpq    $__NR_dup, %rdi
        je      .Lours
        cmpq    $__NR_dup2, %rdi
        je      .Lours
        cmpq    $__NR_dup3, %rdi
        je      .Lours
        cmpq    $__NR_close_range, %rdi
        je      .Lours
        cmpq    $__NR_execve, %rdi
        je      .Lours
        cmpq    $__NR_execveat, %rdi
        je      .Lours
        cmpq    $__NR_prlimit64, %rdi
        je      .Lours
        cmpq    $__NR_setrlimit, %rdi
        je      .Lours
        cmpq    $__NR_fork, %rdi
        je      .Lours
        cmpq    $__NR_clone, %rdi
        je      .Lclone
        cmpq    $__NR_vfork, %rdi
        je      .Llends
        cmpq    $__NR_clone3, %rdi      /* its flags lie in memory: taken for granted */
        je      .Llends
.Lnext:
        movq    hook_next_syscall(%rip), %rax
        testq   %rax, %rax
        jz      .Learly
        jmp     *%rax
.Lclone:
        testq   $CLONE_VM, %rsi
        jnz     .Lshares
        testq   %rdx, %rdx              /* a stack of its own */
        jnz     .Lnext
.Lours:
        jmp     hook_syscall
.Lshares:
        testq   $CLONE_THREAD, %rsi
        jnz     .Lnext
.Llends:
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        pushq   %rcx
        .cfi_adjust_cfa_offset 8
        pushq   %r8
        .cfi_adjust_cfa_offset 8
        pushq   %r9
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        call    owner_lend_memory
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %r9
        .cfi_adjust_cfa_offset -8
        popq    %r8
        .cfi_adjust_cfa_offset -8
        popq    %rcx
        .cfi_adjust_cfa_offset -8
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     .Lnext
        /* Before the library is set up: the same as libc does. */
.Learly:
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
        movq    8(%rsp), %r9
        syscall
        cmpq    $-4095, %rax
        jae     .Lfailed
        ret
.Lfailed:
        movq    %rax, %rdi
        jmp     hook_set_errno
        .cfi_endproc
        .size   syscall, . - syscall

/* The child runs in our memory, on our stack, with our thread pointer, until it execs or exits: the return
 * address waits in a register that the system call keeps. owner_borrowed tells the hooks which of the two
 * they run in: the child leaves it raised, the parent takes it back.
 */
        .globl  vfork
        .type   vfork, @function
        .globl  __vfork
        .set    __vfork, vfork
        .p2align 4
vfork:
        .cfi_startproc
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        .cfi_register %rip, %rdi
        movq    owner_borrowed@gottpoff(%rip), %rsi
        incl    %fs:(%rsi)
        movl    $__NR_vfork, %eax
        syscall
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        .cfi_offset %rip, -8
        testq   %rax, %rax
        jz      .Lchild
        decl    %fs:(%rsi)
        cmpq    $-4095, %rax
        jae     .Lvfork_failed
.Lchild:
        ret
.Lvfork_failed:
        movq    %rax, %rdi
        jmp     hook_set_errno
        .cfi_endproc
        .size   vfork, . - vfork

        .hidden hook_next_syscall
        .hidden hook_syscall
        .hidden hook_set_errno
        .hidden owner_borrowed
        .hidden owner_lend_memory

#endif

        .section .note.GNU-stack, "", @progbits
