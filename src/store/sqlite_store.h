// The store over SQLite: its statements, shared by the files that implement it. For the .cc files
// of this folder.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto_util.h"
#include "store/checkpointer.h"
#include "store/sqlite.h"
#include "store/store.h"

namespace leat::store {

// What token_info() reads.
#define LEAT_TOKEN_COLUMNS "id, name, created, last_used, revoked, kind, plan, identity"
TokenInfo token_info(const Query& row);

bool valid_token_name(std::string_view name);
inline constexpr std::string_view kTokenNameRule =
    "expected a token name of 1 to 64 letters, digits and '.', '_', '@', '-'";
std::int64_t now();   // seconds since 1970
Secret make_token();  // "leat_" and 256 random bits
inline Sha256 hash_of(const Secret& token) { return sha256(as_bytes(token.reveal())); }

// A power failure must take back no revocation and no ownership, so those commits wait for the
// disk; with NORMAL a WAL commit does not. One of them at a time in a process, whose threads have
// databases of their own: a thread waits for another's disk, and for other processes as patience
// goes.
class Durably {
 public:
  explicit Durably(Database& database) : turn_(turns()), database_(database) {
    (void)database_.run("PRAGMA synchronous = FULL");
  }
  Durably(const Durably&) = delete;
  Durably& operator=(const Durably&) = delete;
  ~Durably() { (void)database_.run("PRAGMA synchronous = NORMAL"); }

 private:
  static std::recursive_mutex& turns() {
    static std::recursive_mutex turns;
    return turns;
  }
  const std::lock_guard<std::recursive_mutex> turn_;
  Database& database_;
};

class SqliteStore final : public Store {
 public:
  SqliteStore(std::string path, Database database, std::chrono::milliseconds patience)
      : path_(std::move(path)), database_(std::move(database)), patience_(patience) {}
  Result<void> prepare();

  void set_patience(std::chrono::milliseconds patience) override {
    patience_ = patience;
    database_.set_patience(patience);
  }
  Result<void> checkpoint_aside() override;
  Result<Secret> create_token(std::string_view name, std::string_view plan) override;
  Result<Secret> create_app(std::string_view name) override;
  Result<void> forget_apps(std::chrono::sys_seconds before,
                           const std::vector<std::int64_t>& in_use) override;
  using Store::create_token, Store::tokens;
  Result<std::vector<TokenInfo>> tokens(std::int64_t after, std::int64_t limit) override;
  Result<void> revoke_token(std::string_view name) override;
  Result<std::optional<TokenInfo>> verify(const Secret& token) override;
  Result<bool> is_live(std::int64_t token) override;
  std::vector<Result<void>> claim(const std::vector<Claim>& claims, std::int64_t token,
                                  const PublicKey& identity) override;
  Result<bool> owns(std::string_view tunnel, std::int64_t token,
                    const PublicKey& identity) override;
  Result<bool> is_owned(std::string_view tunnel) override;
  Result<bool> is_generated(std::string_view tunnel, std::int64_t token) override;
  Result<bool> release(std::string_view tunnel) override;
  Result<Secret> create_code(const Invitation& invitation) override;
  Result<std::optional<Joined>> redeem(const Secret& code, std::string_view purpose,
                                       const PublicKey& identity) override;
  Result<std::optional<CodeState>> look_up_code(const Secret& code) override;
  Result<bool> withdraw_code(const Secret& code) override;
  Result<TokenInfo> subject(std::string_view subject, std::string_view plan) override;
  Result<void> set_plan(std::string_view name, std::string_view plan) override;
  Result<std::string> plan_of(std::string_view name) override;
  Result<void> allow(std::string_view name) override;
  Result<Usage> usage(std::string_view owner, std::string_view period) override;
  Result<std::vector<UsageRow>> usages(std::string_view owner, std::string_view since) override;
  Result<void> forget_days(std::string_view before) override;
  Result<std::int64_t> bucket(std::string_view owner) override;
  Result<void> settle(const std::vector<UsageRow>& added,
                      const std::vector<Bucket>& buckets) override;
  bool changed() override;

 private:
  Result<Secret> create(std::string_view name, std::string_view kind, std::string_view plan);
  Result<void> forget_apps_in_transaction(std::int64_t before,
                                          const std::vector<std::int64_t>& in_use);
  Result<bool> add(std::string_view name, const Sha256& hash, std::string_view kind,
                   std::string_view plan, Bytes identity);
  Result<std::optional<TokenInfo>> find_name(std::string_view name);
  Result<std::optional<Joined>> redeem_in_transaction(const Secret& code, std::string_view purpose,
                                                      const PublicKey& identity);
  Result<Joined> join(std::string_view name, std::string_view plan, const PublicKey& identity);
  void touch(const TokenInfo& token);
  Result<std::int64_t> number_owned(std::int64_t token);
  Result<void> write(const Claim& claim, std::int64_t token, const PublicKey& identity,
                     std::int64_t& owned);

  const std::string path_;
  Database database_;
  std::chrono::milliseconds patience_;
  std::unique_ptr<Checkpointer> checkpointer_;
  // Finalised before the database is closed.
  Statement create_token_, list_tokens_, revoke_token_, find_token_, touch_token_, token_live_;
  Statement find_claim_, count_, find_own_, find_owned_, claim_, find_generated_, release_,
      data_version_;
  Statement add_code_, forget_codes_, find_code_, fail_code_, use_code_, drop_code_, find_name_,
      allow_, put_plan_, set_plan_;
  Statement find_usage_, list_usage_, forget_usage_, add_usage_, find_bucket_, put_bucket_;
  std::int64_t seen_version_ = 0;
  bool changed_here_ = false;  // the counter leaves out this connection's own commits
};

}  // namespace leat::store
