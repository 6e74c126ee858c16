// What a person is told when something does not work: what happened, and what can be done.
const words = {
  LEAT_AGENT_OFFLINE: {
    title: 'The agent is offline',
    text: 'The relay is there, but the machine at home is not connected to it.',
    next: 'See whether that machine is on and leat runs there. Then try again.',
    retry: true,
  },
  LEAT_RELAY_UNREACHABLE: {
    title: 'No connection to the relay',
    text: 'Either this device is offline, or the relay is.',
    next:
      'Check the network, then try again. If it has never worked: browsers take no relay whose certificate is not ' +
      'from a public authority.',
    retry: true,
  },
  LEAT_REVOKED: {
    title: 'This device has been revoked',
    text: "The agent's owner has taken this device off the list. It is not let in any more.",
    next: "Ask the agent's owner for a new pairing link.",
    forget: true,
  },
  LEAT_UNKNOWN_DEVICE: {
    title: 'The agent does not know this device',
    text: 'It may have been set up anew since this device was paired.',
    next: "Ask the agent's owner for a new pairing link.",
    forget: true,
  },
  LEAT_KEY_CHANGED: {
    title: 'The agent’s key has changed – nothing was sent',
    text:
      'What answers does not have the key this device was paired with. Either the owner has made a new key, ' +
      'or somebody is between you and the agent and reads along.',
    next:
      'Ask the owner, not by way of this connection, whether they changed the key. Only a new pairing link from ' +
      'them can replace it.',
    forget: true,
  },
  LEAT_PAIRING_USED: {
    title: 'This pairing link has been used',
    text: 'A link lets in one device, once.',
    next: "If it was not you who used it, tell the agent's owner: they can revoke that device. Then ask for a new link.",
  },
  LEAT_PAIRING_OVER: {
    title: 'This pairing link is no longer valid',
    text: 'Links are good for a few minutes.',
    next: 'Run leat pair again, and open the new link.',
  },
  LEAT_BAD_LINK: {
    title: 'This is not a pairing link',
    text: 'Something is missing, or it was cut off.',
    next: 'Copy all of it, with what stands behind the #.',
  },
  LEAT_SERVICE_REFUSED: {
    title: 'The service at home does not run',
    text: 'The agent is there, but the service behind it takes no connections.',
    next: 'Start the service, then try again.',
    retry: true,
  },
  LEAT_CARRIER_CUT: {
    title: 'The connection was cut',
    text: 'The answer is not complete.',
    next: 'Try again.',
    retry: true,
  },
};

/** { title, text, next, code, retry, forget } */
export function wordsFor(error) {
  const code = error?.code ?? 'error';
  const known = words[code];
  if (known) return { ...known, code };
  return {
    title: 'That did not work',
    text: error?.message || String(error),
    next: error?.next || 'Try again.',
    code,
    retry: true,
  };
}
