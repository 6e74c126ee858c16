// The two ends a stream has towards its owner: a Source it draws bytes from when, and only when,
// the carrier can take them (late binding), and a Sink it hands received bytes to.
//
// Rules for both:
//  * Sources are asked inside Session::pull. Sinks are called inside feed, attach, resume,
//    on_deadline and end_all. All of it on the session's thread.
//  * A callback may call any method of the session except feed, pull, on_deadline and end_all, on
//    any stream, its own included.
//  * After Sink::reset, Produced::error, or the owner's own Session::reset, no callback of that
//    stream follows, and its handle is stale. After Produced::end the source is asked no more; the
//    sink goes on.
//  * The session owns neither. Whoever attached them detaches (Session::detach or reset) before
//    they go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/bytes.h"

namespace leat::mux {

struct Produced {
  enum class Kind : std::uint8_t {
    bytes,      // `n` > 0 bytes were written; more may follow at once
    not_ready,  // nothing now; the owner calls Session::wake when that changes
    end,        // nothing more, ever: the session sends FIN
    error,      // the origin broke: the session sends RST
  };
  Kind kind;
  std::size_t n = 0;

  static Produced bytes(std::size_t n) { return {Kind::bytes, n}; }
  static Produced not_ready() { return {Kind::not_ready}; }
  static Produced end() { return {Kind::end}; }
  static Produced error() { return {Kind::error}; }
};

class Source {
 public:
  // Writes up to out.size() (at least 1) bytes straight into the outgoing frame. Short is fine; a
  // source that can cheaply fill the frame should. `not_ready` costs the stream neither deficit nor
  // place.
  virtual Produced produce(MutableBytes out) = 0;

 protected:
  ~Source() = default;
};

// Why a stream ended other than by FIN both ways.
enum class ResetReason : std::uint8_t {
  peer,          // RST received
  session_end,   // the session is over (carrier lost for good, go-away, protocol error)
  open_timeout,  // our SYN was never acknowledged
  pressure,      // it buffered most when memory ran short
};

class Sink {
 public:
  // Takes a prefix of `data` and returns its length; 0 means no room. What is taken counts as
  // written onward: its credit goes back to the peer. The rest stays with the session, in order,
  // until the owner calls Session::resume.
  virtual std::size_t deliver(Bytes data) = 0;
  // The same for several pieces (at least one, at most kMaxPieces) that follow each other and lie
  // apart, for sinks that can pass them on together. Whoever takes all of one is offered the rest.
  static constexpr std::size_t kMaxPieces = 8;
  virtual std::size_t deliver_pieces(std::span<const Bytes> pieces) {
    return deliver(pieces.front());
  }
  // FIN, after the last byte has been taken.
  virtual void end() = 0;
  // The stream is over before its time: bytes not yet taken are gone, and nothing more is sent. May
  // follow end() while our own direction is still open; the peer then wants no more of it.
  virtual void reset(ResetReason reason) = 0;

 protected:
  ~Sink() = default;
};

}  // namespace leat::mux
