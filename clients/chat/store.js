// Where the credential is kept: IndexedDB takes the key as it is, so that no script can read it out.
const open = () =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open('leat-chat', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('kept');
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

const run = async (mode, work) => {
  const database = await open();
  try {
    return await new Promise((resolve, reject) => {
      const transaction = database.transaction('kept', mode);
      const request = work(transaction.objectStore('kept'));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
    });
  } finally {
    database.close();
  }
};

export const load = () => run('readonly', (kept) => kept.get('credential'));
/** A pairing that has come through takes the place of the one before. */
export const save = (credential) =>
  run('readwrite', (kept) => {
    kept.delete('begun');
    return kept.put(credential, 'credential');
  });
export const forget = () => run('readwrite', (kept) => kept.clear());

/** { link, credential }: a pairing of which it is not known yet whether it has come through. */
export const loadBegun = () => run('readonly', (kept) => kept.get('begun'));
export const saveBegun = (begun) => run('readwrite', (kept) => kept.put(begun, 'begun'));
export const forgetBegun = () => run('readwrite', (kept) => kept.delete('begun'));
