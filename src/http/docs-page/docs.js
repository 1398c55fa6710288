// Searching the contents, marking where the reader is, copying code. The page is complete without it.
const nav = document.querySelector('#contents');
const search = nav.querySelector('.search');
const input = search.querySelector('input');
const none = nav.querySelector('.none');
const links = new Map([...nav.querySelectorAll('a')].map((link) => [decodeURIComponent(link.hash.slice(1)), link]));

search.hidden = false;
input.addEventListener('input', () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const group of nav.querySelectorAll('.group')) {
        let shown = 0;
        for (const item of group.querySelectorAll('li')) {
            const text = `${item.textContent.toLowerCase()} ${item.dataset.text}`;
            item.hidden = !words.every((word) => text.includes(word));
            shown += item.hidden ? 0 : 1;
        }
        group.hidden = shown === 0;
        found += shown;
    }
    nav.querySelector('.chapters').hidden = words.length > 0;
    none.hidden = found > 0;
});

addEventListener('keydown', (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.closest('input, textarea, [contenteditable]');
    if (event.key === '/' && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
        event.preventDefault();
        if (getComputedStyle(nav).display === 'none') {
            nav.showPopover();
        }
        input.focus();
    }
});

nav.addEventListener('click', (event) => {
    if (event.target.closest('a') && nav.matches(':popover-open')) {
        nav.hidePopover();
    }
});

const visible = new Set();
const observer = new IntersectionObserver(
    (entries) => {
        for (const { target, isIntersecting } of entries) {
            visible[isIntersecting ? 'add' : 'delete'](target);
        }
        const [first] = [...visible].sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
        if (first === undefined) {
            return;
        }
        for (const link of nav.querySelectorAll('[aria-current]')) {
            link.removeAttribute('aria-current');
        }
        const current = links.get(first.id);
        current.setAttribute('aria-current', 'true');
        if (getComputedStyle(nav).position === 'sticky') {
            const { top, bottom } = current.getBoundingClientRect();
            const frame = nav.getBoundingClientRect();
            if (top < frame.top || bottom > frame.bottom) {
                nav.scrollTop += top - frame.top - frame.height / 3;
            }
        }
    },
    { rootMargin: '-90px 0px -60% 0px' },
);
for (const place of document.querySelectorAll('article, .intro h2')) {
    if (links.has(place.id)) {
        observer.observe(place);
    }
}

if (navigator.clipboard) {
    for (const figure of document.querySelectorAll('figure.code')) {
        const button = document.createElement('button');
        button.type = 'button';
        button.textContent = 'Copy';
        button.addEventListener('click', async () => {
            await navigator.clipboard.writeText(figure.querySelector('pre').textContent);
            button.textContent = 'Copied';
            setTimeout(() => (button.textContent = 'Copy'), 1500);
        });
        figure.querySelector('figcaption').append(button);
    }
}
