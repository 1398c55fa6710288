import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Names the dialog. A new screen begins here for everybody: it takes the focus, and with it screen readers and the scroll position. */
export function Heading({ children }: { children: ComponentChildren }) {
    const heading = useRef<HTMLHeadingElement>(null);
    useEffect(() => {
        heading.current?.focus();
        document.title = heading.current?.textContent ?? '';
    }, []);
    return (
        <h1 id="title" tabIndex={-1} ref={heading}>
            {children}
        </h1>
    );
}
