/* The page of the format html, as it stands in page.html, and a NUL. */
    .section .rodata
    .globl page
page:
    .incbin "tools/report/page.html"
    .byte 0
    .section .note.GNU-stack, "", @progbits
