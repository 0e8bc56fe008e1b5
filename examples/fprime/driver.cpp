// A topology of one: lines of stdin to lineIn, packetOut to stdout, telemetry and events to stderr.
//
// usage: fprime WIDTH < lines > packets (u16 in the order of this machine, band after band)
#include <cstdio>
#include <cstdlib>

#include "SkybookEncoder.hpp"

namespace {

bool packetOut(void *peer, const std::uint8_t *bytes, std::size_t length)
{
    return std::fwrite(bytes, 1, length, static_cast<std::FILE *>(peer)) == length;
}

void tlmOut(void *, Skybook::Channel channel, std::uint64_t value)
{
    static const char *const names[] = {"lines", "packets", "bytes"};
    std::fprintf(stderr, "telemetry %s %llu\n", names[static_cast<int>(channel)],
                 static_cast<unsigned long long>(value));
}

void eventOut(void *, Skybook::Event event, skybook_status status)
{
    static const char *const names[] = {"scene started", "scene ended", "scene failed"};
    std::fprintf(stderr, "event %s, status %d\n", names[static_cast<int>(event)],
                 static_cast<int>(status));
}

std::uint16_t line[SKYBOOK_MAX_BANDS * SKYBOOK_MAX_WIDTH];

} // namespace

int main(int count, char **arguments)
{
    const long width = count == 2 ? std::strtol(arguments[1], nullptr, 10) : 0;
    if (width < 1 || width > SKYBOOK_MAX_WIDTH) {
        std::fprintf(stderr, "usage: fprime WIDTH, with 1..%d columns\n", SKYBOOK_MAX_WIDTH);
        return 2;
    }
    static Skybook::SkybookEncoder encoder({stdout, packetOut, tlmOut, eventOut});
    skybook_options options;
    skybook_defaults(&options, static_cast<std::uint32_t>(width));
    skybook_status status = encoder.beginScene(options);
    const std::size_t samples = SKYBOOK_MAX_BANDS * static_cast<std::size_t>(width);
    while (status == SKYBOOK_OK && std::fread(line, 2, samples, stdin) == samples) {
        status = encoder.lineIn(line, samples);
    }
    if (status == SKYBOOK_OK) {
        status = encoder.endScene();
    }
    return status == SKYBOOK_ERROR_INTERNAL ? 1 : static_cast<int>(status) / 100;
}
