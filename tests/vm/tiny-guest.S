/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A guest that is a boot sector. It says "boot" once, and then counts: each round it finds all words of an area of
 * memory to be what it left there in the round before, makes each one more, and writes a line to the serial port, all
 * numbers in hexadecimal but the last:
 *
 *   count ROUND sum SUM-OF-THE-WORDS time TICKS clock HH:MM:SS
 *
 * A line that follows from the one before it (ROUND 1 more, SUM WORDS more) comes from a guest that went on where it
 * was. Time is that of the ACPI timer, 3579545 ticks a second, which counts while the guest runs. The clock goes on
 * without it. A word that is not what it was is told as "bad ADDRESS", and the guest halts.
 *
 *   cc -m32 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-Ttext=0x7c00 -Wl,--oformat=binary
 */

#define AREA 0x100000
#define WORDS 0x200000 /* 8 MiB */
#define FACTOR 0x9e3779b1

#define SERIAL 0x3f8
#define SERIAL_STATUS (SERIAL + 5)
#define SERIAL_CAN_SEND 0x20
#define TIMER 0x608 /* where SeaBIOS has put it */
#define TIMER_MASK 0xffffff
#define CLOCK 0x70
#define A20 0x92

        .text
        .globl _start
        .code16
_start:
        cli
        xor     %ax, %ax
        mov     %ax, %ds
        in      $A20, %al
        or      $2, %al
        out     %al, $A20
        lgdtl   table_pointer
        mov     %cr0, %eax
        or      $1, %al
        mov     %eax, %cr0
        ljmp    $8, $flat

        .code32
flat:
        mov     $16, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $_start, %esp

        mov     $boot, %esi
        call    write
        xor     %ebp, %ebp /* the round */
        mov     $AREA, %edi
fill:
        imul    $FACTOR, %edi, %edx
        mov     %edx, (%edi)
        add     $4, %edi
        cmp     $(AREA + 4 * WORDS), %edi
        jne     fill
        call    time

next:
        mov     $AREA, %edi
        xor     %ebx, %ebx /* the sum */
word:
        imul    $FACTOR, %edi, %edx
        add     %ebp, %edx
        cmp     %edx, (%edi)
        jne     bad
        inc     %edx
        mov     %edx, (%edi)
        add     %edx, %ebx
        add     $4, %edi
        cmp     $(AREA + 4 * WORDS), %edi
        jne     word

        inc     %ebp
        call    time
        mov     $count, %esi
        mov     %ebp, %edx
        call    write_number
        mov     $sum, %esi
        mov     %ebx, %edx
        call    write_number
        mov     $time_text, %esi
        mov     passed, %edx
        call    write_number
        mov     $clock, %esi
        call    write

        mov     $4, %bl /* hours, minutes and seconds are 4, 2 and 0 */
field:
        mov     %bl, %al
        out     %al, $CLOCK
        in      $(CLOCK + 1), %al
        mov     %al, %dl
        shl     $24, %edx
        mov     $2, %ecx
        call    write_digits
        mov     $':', %al
        sub     $2, %bl
        jns     separate
        mov     $'\n', %al
separate:
        call    write_character
        test    %bl, %bl
        jns     field
        jmp     next

bad:
        mov     $bad_text, %esi
        mov     %edi, %edx
        call    write_number
        mov     $'\n', %al
        call    write_character
halt:
        hlt
        jmp     halt

/* Adds the ticks since the last call */
time:
        mov     $TIMER, %dx
        in      %dx, %eax
        mov     %eax, %edx
        sub     last, %edx
        mov     %eax, last
        and     $TIMER_MASK, %edx
        add     %edx, passed
        ret

/* %esi: a text; %edx: a number that is written behind it */
write_number:
        call    write
        mov     $8, %ecx
/* The first %ecx digits of %edx */
write_digits:
        rol     $4, %edx
        mov     %dl, %al
        and     $15, %al
        cmp     $10, %al
        sbb     $0x69, %al
        das
        or      $0x20, %al /* a digit has it already */
        call    write_character
        loop    write_digits
        ret

/* %esi: a text that ends in a 0 */
write:
        lodsb
        test    %al, %al
        jz      written
        call    write_character
        jmp     write
written:
        ret

write_character:
        push    %edx
        mov     %al, %ah
        mov     $SERIAL_STATUS, %dx
busy:
        in      %dx, %al
        test    $SERIAL_CAN_SEND, %al
        jz      busy
        mov     %ah, %al
        mov     $SERIAL, %dx
        out     %al, %dx
        pop     %edx
        ret

boot:
        .asciz  "boot\n"
count:
        .asciz  "count "
sum:
        .asciz  " sum "
time_text:
        .asciz  " time "
clock:
        .asciz  " clock "
bad_text:
        .asciz  "bad "

        .balign 4
last:
        .long   0
passed:
        .long   0
table:
        .quad   0
        .quad   0x00cf9a000000ffff /* code, and below it data: all of the address space */
        .quad   0x00cf92000000ffff
table_pointer:
        .word   table_pointer - table - 1
        .long   table

        .org    510
        .word   0xaa55
        .section .note.GNU-stack, "", @progbits
