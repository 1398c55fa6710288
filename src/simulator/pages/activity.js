/** The activity page in the browser: switches, the button that connects, and a list that keeps itself fresh. */
for (const button of document.querySelectorAll('[data-connect]')) {
    button.addEventListener('click', async () => {
        const body = JSON.stringify({ provider: button.dataset.connect });
        const answer = await fetch('/_twin/connect', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
        const { url } = await answer.json();
        if (url) window.open(url, '_blank', 'popup,width=560,height=760');
        else button.textContent = 'Not possible here';
    });
}
for (const box of document.querySelectorAll('[data-fault]')) {
    box.addEventListener('change', async () => {
        const body = JSON.stringify({ provider: box.dataset.provider, fault: box.dataset.fault, on: box.checked });
        const answer = await fetch('/_twin/faults', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
        if (!answer.ok) box.checked = !box.checked;
    });
}
setInterval(async () => {
    if (document.hidden) return;
    const answer = await fetch(location.href);
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html').querySelector('#activity');
    const old = document.querySelector('#activity');
    if (fresh && fresh.innerHTML !== old.innerHTML) old.innerHTML = fresh.innerHTML;
}, 2000);
