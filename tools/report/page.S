/* The page of the format html, as it stands in page.html. */
    .section .rodata
    .globl page_begin, page_end
page_begin:
    .incbin "tools/report/page.html"
page_end:
    .byte 0
    .section .note.GNU-stack, "", @progbits
