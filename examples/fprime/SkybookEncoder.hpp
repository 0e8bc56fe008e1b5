// The encoder as a component in the style of F´: typed ports, telemetry channels, events.
//
// Ports are a table of plain functions, so that the header needs neither F´ nor a heap. A component
// generated from FPP holds one SkybookEncoder and forwards its ports to it; README.md says which.
#ifndef SKYBOOK_ENCODER_HPP
#define SKYBOOK_ENCODER_HPP

#include <cstddef>
#include <cstdint>

#include "skybook.h"

namespace Skybook {

enum class Channel : std::uint8_t {
    LINES,   // taken of this scene
    PACKETS, // sent of this scene
    BYTES    // sent of this scene
};

enum class Event : std::uint8_t {
    SCENE_STARTED, // activity high; the status is SKYBOOK_OK
    SCENE_ENDED,   // activity high; the end segment is sent
    SCENE_FAILED   // warning high; the status says why, the scene takes no more lines
};

// What the topology connects; all must be set. `peer` is handed back to each.
struct OutputPorts {
    void *peer;
    bool (*packetOut)(void *peer, const std::uint8_t *bytes, std::size_t length);
    void (*tlmOut)(void *peer, Channel channel, std::uint64_t value);
    void (*eventOut)(void *peer, Event event, skybook_status status);
};

// Handlers run on the thread of the caller and must not run at once: a passive component with
// guarded ports. An object takes about 2 MB: make it static.
class SkybookEncoder {
  public:
    explicit SkybookEncoder(const OutputPorts &ports) : m_ports(ports), m_running(false) {}
    SkybookEncoder(const SkybookEncoder &) = delete;
    SkybookEncoder &operator=(const SkybookEncoder &) = delete;

    // Command: begin a scene. Packets are formed whatever `options.packets` says. While a scene is
    // running this is SKYBOOK_ERROR_USAGE, and that scene goes on.
    skybook_status beginScene(const skybook_options &options)
    {
        if (m_running) {
            return SKYBOOK_ERROR_USAGE;
        }
        skybook_options packeted = options;
        packeted.packets = true;
        const skybook_status status = skybook_init(&m_encoder, &packeted, &send, this);
        m_running = status == SKYBOOK_OK;
        m_sent = 0;
        event(m_running ? Event::SCENE_STARTED : Event::SCENE_FAILED, status);
        return status;
    }

    // Input port: a line of `bands` times `width` samples, band after band. The status goes
    // back to the sender; no scene begun is SKYBOOK_ERROR_USAGE.
    skybook_status lineIn(const std::uint16_t *samples, std::size_t count)
    {
        const std::size_t width = m_running ? m_encoder.options.width : 0;
        if (!m_running || samples == nullptr || count != m_encoder.options.bands * width) {
            return SKYBOOK_ERROR_USAGE;
        }
        const skybook_status status = skybook_push(&m_encoder, samples, 1, width, 0, 1);
        return follow(status, false);
    }

    // Command: code what is held and end the scene.
    skybook_status endScene()
    {
        return m_running ? follow(skybook_finish(&m_encoder), true) : SKYBOOK_ERROR_USAGE;
    }

  private:
    static int send(void *self, const std::uint8_t *bytes, std::size_t length)
    {
        const OutputPorts &ports = static_cast<SkybookEncoder *>(self)->m_ports;
        return ports.packetOut(ports.peer, bytes, length) ? 0 : 1;
    }

    void event(Event what, skybook_status status) { m_ports.eventOut(m_ports.peer, what, status); }

    // Tell what a call did: telemetry where packets went out, an event where the scene is over.
    skybook_status follow(skybook_status status, bool ending)
    {
        if (ending || m_encoder.packets != m_sent || status != SKYBOOK_OK) {
            m_sent = m_encoder.packets;
            m_ports.tlmOut(m_ports.peer, Channel::LINES, m_encoder.lines);
            m_ports.tlmOut(m_ports.peer, Channel::PACKETS, m_encoder.packets);
            m_ports.tlmOut(m_ports.peer, Channel::BYTES, m_encoder.bytes);
        }
        if (ending || status != SKYBOOK_OK) {
            m_running = false;
            event(status == SKYBOOK_OK ? Event::SCENE_ENDED : Event::SCENE_FAILED, status);
        }
        return status;
    }

    const OutputPorts m_ports;
    bool m_running;
    std::uint32_t m_sent = 0;
    skybook_encoder m_encoder;
};

} // namespace Skybook

#endif
