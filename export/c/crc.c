/* CRC-32C (Castagnoli) and CRC-16 (CCITT), four bits at a time: tables of 16 entries. */
#include "parts.h"

static const uint32_t castagnoli[16] = {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};

static const uint16_t ccitt[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50A5, 0x60C6, 0x70E7,
                                   0x8108, 0x9129, 0xA14A, 0xB16B, 0xC18C, 0xD1AD, 0xE1CE, 0xF1EF};

uint32_t skybook_crc32c(const uint8_t *bytes, size_t length)
{
    return skybook_crc32c_on(0, bytes, length);
}

uint32_t skybook_crc32c_on(uint32_t crc, const uint8_t *bytes, size_t length)
{
    crc ^= 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ castagnoli[crc & 15u];
        crc = crc >> 4 ^ castagnoli[crc & 15u];
    }
    return crc ^ 0xFFFFFFFFu;
}

uint16_t skybook_crc16(const uint8_t *bytes, size_t length)
{
    uint32_t crc = 0xFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= (uint32_t)bytes[i] << 8;
        crc = (crc << 4 & 0xFFFFu) ^ ccitt[crc >> 12];
        crc = (crc << 4 & 0xFFFFu) ^ ccitt[crc >> 12];
    }
    return (uint16_t)crc;
}
