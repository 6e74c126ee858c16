// A doubly linked list whose links live in its elements, so that joining and leaving cost no
// allocation. An element derives from Linked<Tag> once for each list it can be on. The list owns
// nothing.
#pragma once

#include <cassert>

namespace leat::mux {

template <typename Tag>
class Linked {
 public:
  bool linked() const { return next_ != nullptr; }

 protected:
  Linked() = default;
  ~Linked() = default;
  Linked(const Linked&) = delete;
  Linked& operator=(const Linked&) = delete;

 private:
  template <typename T, typename U>
  friend class List;
  Linked* next_ = nullptr;
  Linked* prev_ = nullptr;
};

template <typename T, typename Tag>
class List {
 public:
  List() { head_.next_ = head_.prev_ = &head_; }
  List(const List&) = delete;
  List& operator=(const List&) = delete;

  bool empty() const { return head_.next_ == &head_; }
  T* front() const { return empty() ? nullptr : static_cast<T*>(head_.next_); }
  T* back() const { return empty() ? nullptr : static_cast<T*>(head_.prev_); }

  // Its predecessor on this list; null for the first.
  T* before(const T& element) const {
    const Node& node = element;
    return node.prev_ == &head_ ? nullptr : static_cast<T*>(node.prev_);
  }

  // Its successor; null for the last.
  T* after(const T& element) const {
    const Node& node = element;
    return node.next_ == &head_ ? nullptr : static_cast<T*>(node.next_);
  }

  void push_back(T& element) { link(element, head_.prev_); }
  void push_front(T& element) { link(element, &head_); }

  // Takes the element off whichever list of this tag it is on.
  static void unlink(T& element) {
    Node& node = element;
    assert(node.linked());
    node.prev_->next_ = node.next_;
    node.next_->prev_ = node.prev_;
    node.next_ = node.prev_ = nullptr;
  }

 private:
  using Node = Linked<Tag>;

  void link(T& element, Node* before) {
    Node& node = element;
    assert(!node.linked());
    node.prev_ = before;
    node.next_ = before->next_;
    before->next_->prev_ = &node;
    before->next_ = &node;
  }

  // A whole Node, not a base of something: seen as two types, g++ 12 takes the links of the head
  // and those of an element for unrelated memory under LTO, and keeps a stale one in a register.
  Node head_;
};

}  // namespace leat::mux
