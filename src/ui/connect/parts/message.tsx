/** What all screens without a form look like: a picture, a heading, a sentence, and what to do next. */
import type { ComponentChildren } from 'preact';
import { Heading } from './heading.tsx';

interface Props {
    readonly picture: ComponentChildren;
    readonly title: string;
    readonly text?: ComponentChildren;
    readonly children?: ComponentChildren;
    /** Below everything else. */
    readonly actions?: ComponentChildren;
}

export const Message = ({ picture, title, text, children, actions }: Props) => (
    <div class="message">
        <div class="middle">
            {picture}
            <Heading>{title}</Heading>
            {text && <p class="lead">{text}</p>}
            {children}
        </div>
        {actions && <div class="actions">{actions}</div>}
    </div>
);

export const Picture = ({ children }: { children: ComponentChildren }) => (
    <span class="picture" aria-hidden="true">
        {children}
    </span>
);
