#include "phases.h"

#include <stdbool.h>
#include <stddef.h>

#define BUFFER_BYTES (1u << 20)
#define SIEVE_NUMBERS 2000000u
#define SORT_ITEMS (256u << 10)
#define HASH_BLOCK_WORDS 512u

/* How often a round goes over its data, so that each takes some 10^8 instructions. */
#define BUFFER_PASSES 18u
#define SIEVE_PASSES 8u
#define SORT_PASSES 3u
#define CHASE_PASSES 16u
#define HASH_PASSES 49152u

static uint32_t xorshift32(uint32_t x)
{
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return x;
}

/* Random words into 1 MiB, and their CRC-32 byte by byte. */
static uint32_t buffer[BUFFER_BYTES / 4];
static uint32_t crc_table[256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
        crc_table[i] = crc;
    }
}

static uint32_t xorshift_crc32(void)
{
    uint32_t random = 2463534242u, crc = ~0u;
    make_crc_table();
    for (uint32_t pass = 0; pass < BUFFER_PASSES; pass++) {
        for (uint32_t i = 0; i < BUFFER_BYTES / 4; i++)
            buffer[i] = random = xorshift32(random);
        const uint8_t *bytes = (const uint8_t *)buffer;
        for (uint32_t i = 0; i < BUFFER_BYTES; i++)
            crc = crc_table[(crc ^ bytes[i]) & 0xff] ^ crc >> 8;
    }
    return ~crc;
}

/* Eratosthenes up to 2 million, a byte a number. */
static bool composite[SIEVE_NUMBERS];

static uint32_t sieve(void)
{
    uint32_t primes = 0;
    for (uint32_t pass = 0; pass < SIEVE_PASSES; pass++) {
        for (uint32_t i = 0; i < SIEVE_NUMBERS; i++)
            composite[i] = false;
        for (uint32_t i = 2; i * i < SIEVE_NUMBERS; i++) {
            if (composite[i])
                continue;
            for (uint32_t multiple = i * i; multiple < SIEVE_NUMBERS; multiple += i)
                composite[multiple] = true;
        }
        for (uint32_t i = 2; i < SIEVE_NUMBERS; i++)
            primes += !composite[i];
    }
    return primes;
}

/* 256 K random words sorted, then a cycle through as many, followed link by link. */
static uint32_t items[SORT_ITEMS];
static uint32_t links[SORT_ITEMS];

static void quicksort(uint32_t *low, uint32_t *high)
{
    while (low < high) {
        uint32_t pivot = low[(high - low) / 2], *left = low, *right = high;
        while (left <= right) {
            while (*left < pivot)
                left++;
            while (*right > pivot)
                right--;
            if (left > right)
                break;
            uint32_t item = *left;
            *left++ = *right;
            *right-- = item;
        }
        /* The shorter half by a call, the longer one by another turn: the stack stays shallow. */
        if (right - low < high - left) {
            quicksort(low, right);
            low = left;
        } else {
            quicksort(left, high);
            high = right;
        }
    }
}

static uint32_t sort_chase(void)
{
    uint32_t random = 88675123u, sum = 0;
    for (uint32_t pass = 0; pass < SORT_PASSES; pass++) {
        for (uint32_t i = 0; i < SORT_ITEMS; i++)
            items[i] = random = xorshift32(random);
        quicksort(items, items + SORT_ITEMS - 1);
        for (uint32_t i = 1; i < SORT_ITEMS; i++)
            sum += items[i - 1] <= items[i] ? items[i] ^ i : 0;
    }
    /* Sattolo's shuffle: one cycle through all. */
    for (uint32_t i = 0; i < SORT_ITEMS; i++)
        links[i] = i;
    for (uint32_t i = SORT_ITEMS - 1; i > 0; i--) {
        random = xorshift32(random);
        uint32_t other = random % i, link = links[i];
        links[i] = links[other];
        links[other] = link;
    }
    uint32_t at = 0;
    for (uint32_t pass = 0; pass < CHASE_PASSES; pass++) {
        for (uint32_t i = 0; i < SORT_ITEMS; i++) {
            at = links[at];
            sum = sum * 31 + at;
        }
    }
    return sum;
}

/* A 64-bit hash in four lanes over a block of 4 KiB: multiplications, rotations and loads. */
static uint64_t block[HASH_BLOCK_WORDS];

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static uint64_t mix(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * 0xc2b2ae3d27d4eb4full, 31) * 0x9e3779b185ebca87ull;
}

static uint32_t hash64(void)
{
    for (uint32_t i = 0; i < HASH_BLOCK_WORDS; i++)
        block[i] = (i + 1) * 0xd1b54a32d192ed03ull;
    uint64_t a = 1, b = 2, c = 3, d = 4;
    for (uint32_t pass = 0; pass < HASH_PASSES; pass++) {
        for (uint32_t i = 0; i < HASH_BLOCK_WORDS; i += 4) {
            a = mix(a, block[i]);
            b = mix(b, block[i + 1]);
            c = mix(c, block[i + 2]);
            d = mix(d, block[i + 3]);
        }
    }
    uint64_t hash = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    hash ^= hash >> 33;
    return (uint32_t)(hash ^ hash >> 32);
}

const struct phase phases[PHASES] = {
    { "xorshift_crc32", xorshift_crc32 },
    { "sieve", sieve },
    { "sort_chase", sort_chase },
    { "hash64", hash64 },
};
