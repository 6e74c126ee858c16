// TLS 1.3 records of an agent's connection once libssl has shaken hands (docs/adr/0023): sealed
// from the caller's memory straight into the ring, opened from the ring straight into the caller's,
// where libssl 3.0 copies twice. Ciphers and key schedule are OpenSSL's; RFC 8446 §5 and §7.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/bytes.h"
#include "net/ring.h"

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct ssl_st SSL;

namespace leat::net {

inline constexpr std::size_t kTrafficSecretMax = 48;  // SHA-384

// client_ and server_application_traffic_secret_0 (RFC 8446 §7.1), which libssl tells to nobody
// but a key log. Wiped when destroyed.
struct TrafficSecrets {
  struct Secret {
    std::array<std::uint8_t, kTrafficSecretMax> bytes{};
    std::size_t size = 0;
    Bytes view() const { return Bytes(bytes).first(size); }
  };
  Secret client, server;

  TrafficSecrets() = default;
  ~TrafficSecrets();
  TrafficSecrets(const TrafficSecrets&) = delete;
  TrafficSecrets& operator=(const TrafficSecrets&) = delete;
};

// For SSL_CTX_set_keylog_callback: puts the two of a connection of leat/1 where SSL_get_app_data
// points to, if it does.
void keep_traffic_secret(const SSL* ssl, const char* line);

// One direction: its key, and how often it was used.
class RecordKey {
 public:
  RecordKey(const SSL_CIPHER* suite, Bytes secret, bool sealing);
  ~RecordKey();
  RecordKey(const RecordKey&) = delete;
  RecordKey& operator=(const RecordKey&) = delete;

  void replace();                          // §7.2: application_traffic_secret_N+1
  void begin(Bytes header);                // the nonce of the next record (§5.3), and its header
  void pass(Bytes in, std::uint8_t* out);  // may be the same
  void make_tag(MutableBytes tag);
  [[nodiscard]] bool check_tag(Bytes tag);

 private:
  void derive(const char* label, MutableBytes out) const;
  void set_key();

  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const;  // wipes
  };
  std::unique_ptr<EVP_CIPHER_CTX, Free> context_;
  const char* const digest_;
  TrafficSecrets::Secret secret_;
  std::array<std::uint8_t, 12> iv_;
  std::uint64_t sequence_ = 0;
};

class TlsRecords {
 public:
  static constexpr std::size_t kTag = 16;
  static constexpr std::size_t kHeader = 5;

  // After a handshake of TLS 1.3 in which no record has been sent or received under the secrets: a
  // server must have sent no ticket. `suite`: one of RFC 8446 §B.4, without CCM.
  TlsRecords(const SSL_CIPHER* suite, const TrafficSecrets& secrets, bool server);

  // --- sent: the ring has room, kHeader + content + 1 + kTag bytes for each ---
  void seal(Ring& out, Bytes data);                       // at most 16 KiB
  void update_key(Ring& out);                             // §4.6.3; asks for none in return
  bool key_update_is_due() const { return update_due_; }  // the peer has asked, before more data
  void say_close_notify(Ring& out);
  void say_fault(Ring& out);  // after Opened::fault, unless the peer said it

  // --- received ---
  enum class Opened : std::uint8_t {
    data,   // `n` bytes, more than 0
    dry,    // a whole record is wanted
    end,    // close_notify
    fault,  // fault() says which; nothing may be read any more
  };
  // Of the ring's first records: one with data, whatever else lies before it. What does not fit
  // into `into` stays in the ring, opened. The ring's bytes must not wrap around.
  Opened open(Ring& in, MutableBytes into, std::size_t& n);
  // Whether there is something to open, be it a record without data.
  bool openable(const Ring& in) const;
  // The alert (§6.2) that says what was wrong, and whether it was the peer who said so.
  std::uint8_t fault() const { return fault_; }
  bool told_fault() const { return told_fault_; }

 private:
  void seal(Ring& out, std::uint8_t type, Bytes content);
  void say_alert(Ring& out, std::uint8_t level, std::uint8_t description);
  Opened open_record(Ring& in, MutableBytes into, std::size_t& n);
  Opened take_alert(Bytes content);
  Opened take_handshake(Bytes content);
  Opened refuse(std::uint8_t alert) {
    fault_ = alert;
    return Opened::fault;
  }

  RecordKey sealing_, opening_;
  std::size_t opened_ = 0;   // data of a record at the head of the ring, opened already …
  std::size_t trailer_ = 0;  // … and what lies behind it
  int without_data_ = 0;     // records in a row
  bool update_due_ = false;
  bool told_fault_ = false;
  std::uint8_t fault_ = 0;
};

}  // namespace leat::net
