// What idle streams cost each side of a session: two processes, one TLS connection over loopback
// between them, and streams that have each carried a byte there and back.
#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <deque>
#include <memory>

#include "net/session_driver.h"
#include "net/tls_fixture.h"

namespace leat::net {
namespace {

#ifdef LEAT_SANITIZED
constexpr std::size_t kStreams = 500;
#else
constexpr std::size_t kStreams = 10'000;
#endif
constexpr Duration kPatience = std::chrono::seconds(60);

// All memory that malloc has given out, also in mappings of its own.
std::size_t heap() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

// One byte, said at once or heard and returned; then nothing. What the streams' owner has for each
// is in place before anything is measured.
struct Whisper final : mux::Source, mux::Sink {
  mux::Produced produce(MutableBytes out) override {
    if (!says) return mux::Produced::not_ready();
    says = false;
    out[0] = 'x';
    return mux::Produced::bytes(1);
  }
  std::size_t deliver(Bytes data) override {
    heard += data.size();
    return data.size();
  }
  void end() override { ended = true; }
  void reset(mux::ResetReason) override { ended = true; }

  bool says = false, ended = false;
  std::size_t heard = 0;
};

class Side final : public SessionDriver::Owner, TransportOwner {
 public:
  Side(Fd fd, const TlsContext& context, mux::Role role) : role_(role), whispers_(kStreams) {
    carrier_ = make_tls_transport(loop_.shard, fd.release(), context, "relay.test");
    carrier_->set_owner(this);
  }

  bool begin() {
    if (!loop_.run([&] { return carrier_->established(); }, kPatience)) return false;
    driver_ = std::make_unique<SessionDriver>(loop_.shard, mux::Config::native(role_), *this,
                                              std::move(carrier_));
    driver_->start({});
    before_ = heap();
    return true;
  }

  bool open_all() {
    for (Whisper& whisper : whispers_) {
      const auto stream = driver_->mux().open(loop_.shard.now());
      if (!stream) return false;
      whisper.says = true;
      driver_->mux().attach(*stream, &whisper, &whisper);
      ++opened_;
    }
    return true;
  }

  bool each_has_heard() {
    const auto all = [&] {
      for (std::size_t i = 0; i < kStreams; ++i) {
        if (whispers_[i].heard != 1 || whispers_[i].ended) return false;
      }
      return opened_ == kStreams;
    };
    // Nobody pokes for a byte of a stream.
    for (int i = 0; i < 600 && !all(); ++i) loop_.run([] { return false; }, kPatience / 600);
    return all();
  }

  bool cheap(const char* who) {
    const std::size_t each = (heap() - before_) / kStreams;
    std::printf("%s: %zu idle streams take %zu bytes each\n", who, kStreams, each);
    std::fflush(stdout);
#ifdef LEAT_SANITIZED  // whose allocators answer otherwise
    return driver_->mux().stats().streams == kStreams;
#else
    return driver_->mux().stats().streams == kStreams && each <= 1024;
#endif
  }

  // Until the other side closes `hold`.
  bool stay(Fd hold) {
    Talker waiting(loop_, make_plain_transport(loop_.shard, hold.release()), 1);
    return loop_.run([&] { return waiting.ended; }, kPatience);
  }

 private:
  void on_transport() override { loop_.poke(); }
  void on_ended(const Error& why) override { ADD_FAILURE() << why.text(); }
  void on_stream(mux::StreamHandle stream) override {
    Whisper& whisper = whispers_[opened_++];
    whisper.says = true;
    driver_->mux().attach(stream, &whisper, &whisper);
  }

  const mux::Role role_;
  Loop loop_;
  std::unique_ptr<Transport> carrier_;
  std::deque<Whisper> whispers_;
  std::size_t opened_ = 0;
  std::size_t before_ = 0;
  std::unique_ptr<SessionDriver> driver_;
};

// The exit status says what failed.
int be_agent(Fd fd, const TlsContext& context, Fd hold) {
  Side agent(std::move(fd), context, mux::Role::client);
  if (!agent.begin()) return 10;
  if (!agent.each_has_heard()) return 11;
  if (!agent.stay(std::move(hold))) return 12;
  return agent.cheap("agent") ? 0 : 13;
}

TEST(IdleStreams, TakeLessThanAKibibyteOnEachSide) {
  const Identity identity;
  const TlsContext server = identity.server(), client = identity.client();
  TcpPair pair = tcp_pair();
  int hold[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, hold), 0);
  Fd ours(hold[0]), theirs(hold[1]);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ours.reset();
    pair.server.reset();
    ::_exit(be_agent(std::move(pair.client), client, std::move(theirs)));
  }
  theirs.reset();
  pair.client.reset();
  {
    Side relay(std::move(pair.server), server, mux::Role::server);
    EXPECT_TRUE(relay.begin());
    EXPECT_TRUE(relay.open_all());
    EXPECT_TRUE(relay.each_has_heard());
    EXPECT_TRUE(relay.cheap("relay"));
    ours.reset();
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

}  // namespace
}  // namespace leat::net
